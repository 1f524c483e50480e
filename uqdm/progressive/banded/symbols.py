"""Where the symbols of a step come from: an image that is encoded, a file that is decoded, or chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from uqdm.codec import StreamError
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.bounds import Bounds
from uqdm.coding.logistic import LOCATION_BITS, SCALE_UNITS

MAX_SYMBOL = 1 << 20

Wanted = Callable[[np.ndarray], np.ndarray]
"""Symbols that data of a shape give; only encoders call it."""


class Symbols(Protocol):
    """Gives the symbols of a step, section by section, and of each section tile by tile.

    Locations and scales are int64 [N] as in :class:`uqdm.coding.ans.Writer`.
    """

    data: np.ndarray | None
    """What is encoded, [B, ...] in the coordinates of the step; None for decoders."""

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """Symbols of a tile, int64 [N]; ``wanted`` are those of the data, where there are data."""

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        """Symbols of a tile within bounds."""


class Written(Symbols):
    """The symbols of data, which are written; ``writers`` has the writer of each tile's chunk."""

    def __init__(self, data: np.ndarray, writers: Sequence[Writer]):
        self.data: np.ndarray | None = data
        self._writers = writers

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """See :meth:`Symbols.free`."""
        assert wanted is not None
        self._writers[row].symbols(wanted, locations, scales)
        return wanted

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        """See :meth:`Symbols.bounded`."""
        assert wanted is not None
        self._writers[row].bounded(wanted, locations, scales, bounds)
        return wanted


class Read(Symbols):
    """The symbols of a file; ``readers`` has the reader of each tile's chunk.

    Raises :class:`uqdm.coding.ans.DamagedStreamError`, and StreamError for symbols that no encoder writes.
    """

    data: np.ndarray | None = None

    def __init__(self, readers: Sequence[Reader]):
        self._readers = readers

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """See :meth:`Symbols.free`."""
        found = self._readers[row].symbols(locations, scales)
        if found.size and np.abs(found).max() > MAX_SYMBOL:
            raise StreamError("a symbol is out of range")
        return found

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        """See :meth:`Symbols.bounded`."""
        return self._readers[row].bounded(locations, scales, bounds)


class Sampled(Symbols):
    """Symbols drawn from their distributions; ``uniform`` draws numbers in (0, 1) for a tile, float64 [N]."""

    data: np.ndarray | None = None

    def __init__(self, uniform: Callable[[int, int], np.ndarray]):
        self._uniform = uniform

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """See :meth:`Symbols.free`."""
        location, scale = _in_bins(locations, scales)
        u = self._uniform(row, locations.size)
        found = np.floor(location + scale * _logit(u))
        return np.clip(found, -MAX_SYMBOL, MAX_SYMBOL).astype(np.int64)

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        """See :meth:`Symbols.bounded`."""
        location, scale = _in_bins(locations, scales)
        low, high = ((edge / (1 << LOCATION_BITS) - location) / scale for edge in (bounds.low, bounds.high))
        with np.errstate(over="ignore"):  # far below the location exp is infinite, and the share is 0
            below, above = 1 / (1 + np.exp(-low)), 1 / (1 + np.exp(-high))
        u = below + self._uniform(row, locations.size) * (above - below)
        # Far in a tail all digits of the distribution function are alike: then any place within bounds will do.
        flat = ~((u > below) & (u < above))
        place = np.where(flat, (low + high) / 2, _logit(np.where(flat, 0.5, u)))
        return np.clip(np.floor(location + scale * place), bounds.first, bounds.last).astype(np.int64)


def _in_bins(locations: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return locations / (1 << LOCATION_BITS), np.exp2(scales / SCALE_UNITS)


def _logit(u: np.ndarray) -> np.ndarray:
    return np.log(u) - np.log1p(-u)
