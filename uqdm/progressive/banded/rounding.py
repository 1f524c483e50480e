"""Rounding of the networks' outputs, so that every machine gets the same integers from slightly different floats.

The networks run in float64, in which two machines differ by far less than ``EPS``. Almost always no value of a stage is
within ``EPS`` of a boundary between cells. Where one is, the encoder shifts all boundaries of the stage, and says so in
the stream: one bit if they are not shifted, five if they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uqdm.coding.ans import Reader, Writer
from uqdm.coding.offsets import MarginError

EPS = 2.0**-32
"""Largest difference between two machines' outputs that a file tolerates: bins, octaves or levels."""
SHIFT_BITS = 4
N_SHIFTS = 1 + (1 << SHIFT_BITS)
SHIFT_UNITS = 64
"""A shift is this part of a cell, so that the largest one is a quarter."""


class Rounding:
    """Rounds the values of one stage, and notes the tiles of which one was too close to a boundary.

    ``shifts`` [B] are 0 to 16, by tile.
    """

    def __init__(self, shifts: Sequence[int]):
        self._shifts = np.array(shifts, np.int64)
        self.clear = np.ones(len(shifts), bool)

    def shift(self, row: int) -> int:
        """The shift of a tile."""
        return int(self._shifts[row])

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Values float64 [B, ...] in cells of 1: int64."""
        shifted = values + self._shifts.reshape(-1, *([1] * (values.ndim - 1))) / SHIFT_UNITS
        near = np.abs(shifted - np.rint(shifted)) <= EPS
        self.clear &= ~near.reshape(len(near), -1).any(1)
        return np.floor(shifted).astype(np.int64)


def write_shift(writer: Writer, shift: int) -> None:
    """Writes the shift of a stage."""
    writer.raw(int(shift > 0), 1)
    if shift:
        writer.raw(shift - 1, SHIFT_BITS)


def read_shift(reader: Reader) -> int:
    """Reads what :func:`write_shift` wrote."""
    return reader.raw(SHIFT_BITS) + 1 if reader.raw(1) else 0


def next_shift(shift: int) -> int:
    """The shift to try after one that was not clear; raises :class:`uqdm.coding.offsets.MarginError` after the last."""
    if shift + 1 == N_SHIFTS:
        raise MarginError("no shift of the cells keeps the networks' outputs away from all boundaries")
    return shift + 1
