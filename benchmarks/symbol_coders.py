"""The symbols of an image by the codec's rANS and by constriction in its several forms, timed in pairs.

All code the same symbols. Four forms of constriction's ANS coder are compared:

- callbacks: the logistic distribution as two Python functions (``CustomModel``);
- Gaussian, Laplace: a built-in family with an array for each parameter, fast but of another distribution, with the
  logistic's standard deviation;
- tables: a row of probabilities for each symbol (``Categorical`` of a matrix [N, K]). The rows are the codec's own
  distributions, bounds included, filled in by compiled code. Symbols that can have only one value are left out.

Times are CPU time of the thread, which other work on the machine changes little.
"""

from __future__ import annotations

import math
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import constriction
import numpy as np

from uqdm.coding.ans import Reader, Writer
from uqdm.coding.bounds import Bounds
from uqdm.coding.frequencies import TOTAL
from uqdm.coding.grids import Cells
from uqdm.coding.logistic import bounded, bounded_cumulative, cumulative, half_window
from uqdm.compiled import njit
from uqdm.progressive.encoder import SentStep

_LOGISTIC_SD = math.pi / math.sqrt(3)
"""Standard deviation of a logistic distribution of scale 1."""
_MODELS = constriction.stream.model


@dataclass(frozen=True)
class Symbols:
    """The symbols of all steps of an image with their distributions in integers; int64 arrays [N]."""

    symbols: np.ndarray
    locations: np.ndarray
    scales: np.ndarray
    bounds: Bounds | None

    @classmethod
    def of_steps(cls, steps: Sequence[SentStep], cells: Sequence[Cells]) -> Symbols:
        """The steps of a tile, with their rounded outputs."""
        bounds = None if steps[0].bounds is None else _joined([step.bounds for step in steps])
        known = np.concatenate([step.known for step in steps])
        return cls(
            symbols=np.concatenate([step.symbols for step in steps]),
            locations=known + np.concatenate([cell.mean for cell in cells]),
            scales=np.concatenate([cell.scale for cell in cells]),
            bounds=bounds,
        )


def _joined(bounds: list[Bounds]) -> Bounds:
    return Bounds(*(np.concatenate([getattr(item, field.name) for item in bounds]) for field in fields(Bounds)))


class Coder(ABC):
    """Codes the symbols of one image: everything but what encoder and decoder can prepare for all images."""

    def __init__(self, symbols: Symbols):
        self.given = symbols

    @abstractmethod
    def encode(self) -> Any:
        """The stream."""

    @abstractmethod
    def decode(self, stream: Any) -> np.ndarray:
        """The symbols, int [N]."""

    @staticmethod
    def bits(stream: Any) -> int:
        """Length of a stream."""
        return 8 * len(stream) if isinstance(stream, bytes) else 32 * len(stream)


class Own(Coder):
    """The codec's rANS."""

    def encode(self) -> bytes:
        """See :class:`Coder`."""
        given, writer = self.given, Writer()
        if given.bounds is None:
            writer.symbols(given.symbols, given.locations, given.scales)
        else:
            writer.bounded(given.symbols, given.locations, given.scales, given.bounds)
        return writer.finish()[0]

    def decode(self, stream: bytes) -> np.ndarray:
        """See :class:`Coder`."""
        given, reader = self.given, Reader(stream)
        if given.bounds is None:
            return reader.symbols(given.locations, given.scales)
        return reader.bounded(given.locations, given.scales, given.bounds)


class Parametric(Coder):
    """constriction with arrays of locations and scales; without bounds."""

    width: float = 1.0
    """Scale parameter of the model for a logistic distribution of scale 1."""

    def __init__(self, symbols: Symbols):
        super().__init__(symbols)
        self._model = self.model(int(symbols.symbols.min()) - 1, int(symbols.symbols.max()) + 1)

    @abstractmethod
    def model(self, low: int, high: int) -> Any:
        """constriction's model of the symbols low..high."""

    def encode(self) -> np.ndarray:
        """See :class:`Coder`."""
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(self.given.symbols.astype(np.int32), self._model, *self._parameters())
        return coder.get_compressed()

    def decode(self, stream: np.ndarray) -> np.ndarray:
        """See :class:`Coder`."""
        return constriction.stream.stack.AnsCoder(stream).decode(self._model, *self._parameters())

    def _parameters(self) -> tuple[np.ndarray, np.ndarray]:
        # constriction's bins are centred on the symbols, the codec's begin there.
        return self.given.locations / 65536 - 0.5, np.exp2(self.given.scales / 2048) * self.width


class Callbacks(Parametric):
    """The logistic distribution as Python functions."""

    def model(self, low: int, high: int) -> Any:
        """See :class:`Parametric`."""
        return _MODELS.CustomModel(
            lambda x, location, scale: 0.5 + 0.5 * math.tanh((x - location) / scale / 2),
            lambda p, location, scale: location + scale * math.log(p / (1 - p)) if 0 < p < 1 else location,
            low,
            high,
        )


class Gaussian(Parametric):
    """A Gaussian of the logistic's standard deviation."""

    width = _LOGISTIC_SD

    def model(self, low: int, high: int) -> Any:
        """See :class:`Parametric`."""
        return _MODELS.QuantizedGaussian(low, high)


class Laplace(Parametric):
    """A Laplace distribution of the logistic's standard deviation."""

    width = _LOGISTIC_SD / math.sqrt(2)

    def model(self, low: int, high: int) -> Any:
        """See :class:`Parametric`."""
        return _MODELS.QuantizedLaplace(low, high)


class Tables(Coder):
    """A row of probabilities for each symbol; encoding and decoding include filling them in.

    Without bounds a row has the symbols around the location that occur in the image, which a decoder would need.
    """

    model = _MODELS.Categorical(perfect=False, lazy=False)

    def __init__(self, symbols: Symbols):
        super().__init__(symbols)
        if symbols.bounds is None:
            offsets = symbols.symbols - (symbols.locations >> 16)
            self._low = int(offsets.min())
            self._width = int(offsets.max()) - self._low + 1
        else:
            self._width = int((symbols.bounds.last - symbols.bounds.first).max()) + 1

    def encode(self) -> np.ndarray:
        """See :class:`Coder`."""
        places, first, table = self.table()
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse((self.given.symbols[places] - first).astype(np.int32), self.model, table)
        return coder.get_compressed()

    def decode(self, stream: np.ndarray) -> np.ndarray:
        """See :class:`Coder`."""
        places, first, table = self.table()
        found = constriction.stream.stack.AnsCoder(stream).decode(self.model, table)
        symbols = np.zeros_like(self.given.locations) if self.given.bounds is None else self.given.bounds.first.copy()
        symbols[places] = first + found
        return symbols

    def table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places of the coded symbols [M], the symbol of the first column [M], and probabilities float64 [M, K]."""
        given = self.given
        if given.bounds is None:
            places = np.arange(given.symbols.size)
            table = np.empty((places.size, self._width))
            _fill(given.locations, given.scales, self._low, table)
            return places, (given.locations >> 16) + self._low, table
        places = np.flatnonzero(given.bounds.last > given.bounds.first)
        bounds = given.bounds.at(places)
        table = np.zeros((places.size, self._width))
        arrays = (bounds.low, bounds.high, bounds.first, bounds.last)
        _fill_bounded(given.locations[places], given.scales[places], *arrays, table)
        return places, bounds.first, table


@njit(cache=True)
def _fill(locations, scales, low, table):  # type: ignore[no-untyped-def]
    for i in range(locations.size):
        scale = scales[i]
        half = half_window(scale)
        rest = locations[i] & 0xFFFF
        before = 0
        for column in range(table.shape[1]):
            offset = low + column + 1
            past = TOTAL if offset > half else cumulative(max(offset, -half), rest, scale, half)
            table[i, column] = past - before
            before = past


@njit(cache=True)
def _fill_bounded(locations, scales, lows, highs, firsts, lasts, table):  # type: ignore[no-untyped-def]
    for i in range(locations.size):
        scale = scales[i]
        count = lasts[i] - firsts[i] + 1
        location, mass_below, mass = bounded(locations[i], scale, lows[i], highs[i])
        edge = (firsts[i] << 16) - location
        before = 0
        for column in range(count):
            edge += 1 << 16
            past = bounded_cumulative(column + 1, count, edge, scale, mass_below, mass)
            table[i, column] = past - before
            before = past


CODERS: dict[str, type[Coder]] = {
    "the codec's rANS": Own,
    "constriction, tables": Tables,
    "constriction, Gaussian": Gaussian,
    "constriction, Laplace": Laplace,
    "constriction, Python callbacks": Callbacks,
}
_OWN, _TABLES, *_OTHERS = CODERS
TABLES_ALONE = "  of it filling in the tables"
LABELS = (_OWN, _TABLES, TABLES_ALONE, *_OTHERS)


@dataclass(frozen=True)
class Comparison:
    """A coder compared with the codec's own: medians over images and rounds, and of the ratios within each."""

    label: str
    encode_ms: float
    decode_ms: float
    encode_ratio: float
    decode_ratio: float
    bits: float
    """Mean of an image; NaN for a part of a coder."""
    bits_ratio: float


def compare(images: Sequence[Symbols], rounds: int) -> list[Comparison]:
    """Times all coders on all images; within a round they take turns on each image, after a round to warm up."""
    encode: dict[str, list[float]] = {label: [] for label in LABELS}
    decode: dict[str, list[float]] = {label: [] for label in LABELS}
    bits: dict[str, list[int]] = {label: [] for label in CODERS}
    for image in images:
        coders = {label: coder(image) for label, coder in CODERS.items()}
        streams = {label: coder.encode() for label, coder in coders.items()}
        for label, coder in coders.items():
            if not np.array_equal(coder.decode(streams[label]), image.symbols):
                raise RuntimeError(f"{label}: decoding does not return the symbols")
            bits[label].append(coder.bits(streams[label]))
        for _ in range(rounds):
            for label, coder in coders.items():
                encode[label].append(_milliseconds(coder.encode))
                decode[label].append(_milliseconds(lambda c=coder, s=streams[label]: c.decode(s)))
                if isinstance(coder, Tables):
                    filling = _milliseconds(coder.table)
                    encode[TABLES_ALONE].append(filling)
                    decode[TABLES_ALONE].append(filling)
    return [
        Comparison(
            label=label,
            encode_ms=statistics.median(encode[label]),
            decode_ms=statistics.median(decode[label]),
            encode_ratio=_ratio(encode[label], encode[_OWN]),
            decode_ratio=_ratio(decode[label], decode[_OWN]),
            bits=statistics.mean(bits[label]) if label in bits else math.nan,
            bits_ratio=sum(bits[label]) / sum(bits[_OWN]) if label in bits else math.nan,
        )
        for label in LABELS
    ]


def _milliseconds(run: Callable[[], object]) -> float:
    begun = time.thread_time()
    run()
    return 1e3 * (time.thread_time() - begun)


def _ratio(times: list[float], others: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(times, others, strict=True))
