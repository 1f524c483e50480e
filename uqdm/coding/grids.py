"""Rounding a network's outputs so that encoder and decoder get the same integers from slightly different floats.

Two machines' outputs differ by some eps. Rounded to a grid they are equal unless one lies within eps of a boundary
between cells. So the encoder shifts the grid, for each group of coordinates, such that none of the group's outputs
lies within eps of a boundary, and sends the offsets (:mod:`uqdm.coding.offsets`): any decoder whose error is below eps
then finds the same cells. Where no offset does it, the encoder uses more, smaller groups.

Scales are rounded in their exponent, to cells of 1/8 octave. Means (x_hat, in bins) are rounded to cells whose width
follows the scale; how fine they are is the encoder's choice, between the rate lost by rounding and the offsets that
finer cells need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from uqdm.coding import offsets
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.logistic import LOCATION_BITS, MAX_SCALE, MIN_SCALE, SCALE_BITS, SCALE_UNITS
from uqdm.coding.offsets import MarginError, Offsets
from uqdm.compiled import njit

FINENESS_BITS = 2
_SCALE_CELL_BITS = 3  # log2 of a scale's cells in an octave
_EXPONENTS = MIN_SCALE / SCALE_UNITS + 1 / 8, MAX_SCALE / SCALE_UNITS - 1 / 8  # room for a cell at either end
_MEANS = -float(1 << 20), float(1 << 20)  # bins


@dataclass(frozen=True)
class Tolerance:
    """Largest difference between two machines' outputs that a stream must bear.

    ``mean_bins`` is of x_hat's part of the location, in bins; ``scale_octaves`` of the exponent of the scale.
    """

    mean_bins: float
    scale_octaves: float


@dataclass(frozen=True)
class Cells:
    """Rounded outputs of a set of coordinates, in the integers that the coder takes."""

    mean: np.ndarray
    """x_hat's part of the location, fixed point with 16 fractional bits, int64 [N]."""
    scale: np.ndarray
    """Exponent of the scale in multiples of 1/2048, int64 [N]."""


@dataclass(frozen=True)
class Grid:
    """How outputs of a set of coordinates are rounded: offsets of the scales, and fineness and offsets of the means.

    The set has ``size`` coordinates, in the order of coding; outputs may come and be rounded piece by piece.
    """

    scale: Offsets
    fineness: int
    mean: Offsets
    size: int

    def round(self, mean_bins: np.ndarray, log2_scale: np.ndarray, begin: int = 0) -> Cells:
        """Rounds the outputs, float64 [N], of the coordinates from number ``begin`` on."""
        scale = _round_scale(_clip(log2_scale, *_EXPONENTS), self.scale, begin, self.size)
        mean = _round_mean(_clip(mean_bins, *_MEANS), scale, self.fineness, self.mean, begin, self.size)
        return Cells(mean, scale)


def write(writer: Writer, mean_bins: np.ndarray, log2_scale: np.ndarray, tolerance: Tolerance) -> Cells:
    """Chooses fineness and offsets, writes them, and returns the rounded outputs. Both inputs are float64 [N].

    Raises :class:`uqdm.coding.offsets.MarginError` where even the smallest groups leave no margin.
    """
    exponent = _clip(log2_scale, *_EXPONENTS)
    found = offsets.choose(exponent, _scale_cell_bits(exponent.size), tolerance.scale_octaves)
    offsets.write(writer, found)
    scale = _round_scale(exponent, found, 0, exponent.size)
    mean = _clip(mean_bins, *_MEANS)
    fineness, found = _choose_means(mean, scale, tolerance.mean_bins)
    writer.raw(fineness, FINENESS_BITS)
    offsets.write(writer, found)
    return Cells(_round_mean(mean, scale, fineness, found, 0, mean.size), scale)


def read(reader: Reader, size: int) -> Grid:
    """Reads what :func:`write` wrote for ``size`` coordinates.

    The reader's outputs must differ from the writer's by less than the writer's tolerance.
    """
    scale = offsets.read(reader)
    fineness = reader.raw(FINENESS_BITS)
    return Grid(scale, fineness, offsets.read(reader), size)


@njit(cache=True, nogil=True)
def _clip(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # A NaN must not reach a conversion to integers, whose result differs between machines.
    clipped = np.empty(values.size)
    for i in range(values.size):
        clipped[i] = 0.0 if np.isnan(values[i]) else min(max(values[i], low), high)
    return clipped


def _scale_cell_bits(size: int) -> np.ndarray:
    return np.full(size, _SCALE_CELL_BITS)


def _round_scale(exponent: np.ndarray, found: Offsets, begin: int, size: int) -> np.ndarray:
    return offsets.round_to_cells(exponent, _scale_cell_bits(exponent.size), found, SCALE_BITS, begin=begin, size=size)


def _round_mean(
    mean: np.ndarray, scale: np.ndarray, fineness: int, found: Offsets, begin: int, size: int
) -> np.ndarray:
    bits = _mean_cell_bits(scale, fineness)
    return offsets.round_to_cells(mean, bits, found, LOCATION_BITS, begin=begin, size=size)


@njit(cache=True)
def _octave_cell_bits(octave: int) -> int:
    """log2 of a mean's cells in a bin, at the coarsest, for scales of 2^octave to 2^(octave + 1) bins.

    What offsets cost is in proportion to 1 / cell, and what rounding costs to cell^2 times the information that a
    symbol holds on its mean (see :func:`_rounding_bits`): the sum is least where the cell is proportional to
    (s + 3 s^2)^(1/3).
    """
    return 2 + (-octave) // 3 if octave < -1 else 2 - (2 * octave + 3) // 3


@njit(cache=True, nogil=True)
def _mean_cell_bits(scale: np.ndarray, fineness: int) -> np.ndarray:
    bits = np.empty(scale.size, np.int64)
    for i in range(scale.size):
        bits[i] = fineness + _octave_cell_bits(scale[i] >> SCALE_BITS)
    return bits


_OCTAVES = range(MIN_SCALE >> SCALE_BITS, (MAX_SCALE >> SCALE_BITS) + 1)
_COARSEST_CELLS = np.exp2([_octave_cell_bits(octave) for octave in _OCTAVES])
"""Cells in a bin, by octave."""


def _rounding_bits() -> np.ndarray:
    """Expected bits lost by rounding a mean at the coarsest, by octave: cell^2 / 12 times half the information on it.

    A logistic symbol of scale s in bins of width 1 holds about 1 / (s + 3 s^2) of it, in nats: 1 / s for narrow ones,
    where only a bin's edge near the mean tells anything, and 1 / (3 s^2) for wide ones.
    """
    s = np.exp2(np.array(_OCTAVES) + 0.5)
    return 1 / _COARSEST_CELLS**2 / 12 / 2 / (s + 3 * s * s) / math.log(2)


_ROUNDING_BITS = _rounding_bits()


def _choose_means(mean: np.ndarray, scale: np.ndarray, eps_bins: float) -> tuple[int, Offsets]:
    """Fineness and offsets of the fewest bits in all: those of the offsets and those lost by rounding."""
    counts = np.bincount((scale >> SCALE_BITS) - _OCTAVES[0], minlength=len(_OCTAVES))
    # A share of exp(-blocked) of the offsets of a group is free; to name one of them takes about as many nats.
    blocked, lost = 2 * eps_bins * (counts @ _COARSEST_CELLS), counts @ _ROUNDING_BITS
    bits = [blocked * 2**f / math.log(2) + lost / 4**f for f in range(1 << FINENESS_BITS)]
    fineness = int(np.argmin(bits))
    while True:
        try:
            return fineness, offsets.choose(mean, _mean_cell_bits(scale, fineness), eps_bins)
        except MarginError:
            if fineness == 0:
                raise
            fineness -= 1
