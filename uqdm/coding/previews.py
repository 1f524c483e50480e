"""Rounding of the image of a step, for models whose images are not computed from the rounded means of coding.

A model of several sections estimates a step's image from the latent alone, and codes with other means. That estimate is
rounded to cells of a level, a half, a quarter or an eighth, in shifted grids like the outputs for coding
(:mod:`uqdm.coding.grids`), so that every machine decodes the same levels.
"""

from __future__ import annotations

import math

import numpy as np

from uqdm.coding import offsets
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.offsets import MarginError, Offsets

LEVELS_PER_DATA_UNIT = 128
FINENESS_BITS = 2
_FRACTION_BITS = 16


def write(writer: Writer, x_hat: np.ndarray, levels: np.ndarray, eps: float) -> np.ndarray:
    """Chooses and writes the rounding of x_hat, float64 [N] in -1..1, and returns the rounded levels, uint8 [N].

    ``levels`` [N] are those of the image: the closer x_hat is to them, the finer the grid. ``eps`` is the largest
    difference between two machines' x_hat. Raises :class:`uqdm.coding.offsets.MarginError`.
    """
    in_levels = _in_levels(x_hat)
    fineness, found = _choose(in_levels, levels, LEVELS_PER_DATA_UNIT * eps)
    writer.raw(fineness, FINENESS_BITS)
    offsets.write(writer, found)
    return _round(in_levels, fineness, found)


def read(reader: Reader, x_hat: np.ndarray) -> np.ndarray:
    """The levels that :func:`write` returned, from an x_hat that differs by less than its ``eps``."""
    fineness = reader.raw(FINENESS_BITS)
    return _round(_in_levels(x_hat), fineness, offsets.read(reader))


def _in_levels(x_hat: np.ndarray) -> np.ndarray:
    # A NaN must not reach a conversion to integers, whose result differs between machines.
    return LEVELS_PER_DATA_UNIT * (np.nan_to_num(x_hat, nan=0.0, posinf=1.0, neginf=-1.0) + 1)


def _choose(in_levels: np.ndarray, levels: np.ndarray, eps: float) -> tuple[int, Offsets]:
    """Fineness and offsets of the least cost: bits of the offsets, and bits equivalent to the rounding error."""
    # Rounding to cells and to integer levels each adds a uniform error to that of x_hat.
    mse = float(((in_levels - 0.5 - levels) ** 2).mean()) + 1 / 12
    blocked = 2 * eps * in_levels.size
    bits = [
        blocked * 2**f / math.log(2) + in_levels.size / 2 * math.log2(1 + 4.0**-f / 12 / mse)
        for f in range(1 << FINENESS_BITS)
    ]
    fineness = int(np.argmin(bits))
    while True:
        try:
            return fineness, offsets.choose(in_levels, np.full(in_levels.size, fineness), eps)
        except MarginError:
            if fineness == 0:
                raise
            fineness -= 1


def _round(in_levels: np.ndarray, fineness: int, found: Offsets) -> np.ndarray:
    middle = offsets.round_to_cells(in_levels, np.full(in_levels.size, fineness), found, _FRACTION_BITS)
    return np.clip(middle >> _FRACTION_BITS, 0, 255).astype(np.uint8)
