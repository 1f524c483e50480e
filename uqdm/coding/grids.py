"""Rounding a network's outputs so that encoder and decoder get the same integers from slightly different floats.

The outputs of two machines differ by up to eps. Rounded to a grid they are equal, unless one is within eps of a
boundary between cells. Therefore the encoder shifts the grid for each group of coordinates such that no output of the
group is within eps of a boundary, and sends the offsets (:mod:`uqdm.coding.offsets`). Every decoder with an error below
eps then gets the same cells. Where no offset fits, the encoder uses more and smaller groups.

Scales are rounded in their exponent, to cells of 1/8 octave. Means (x_hat, in bins) are rounded to cells whose width
depends on the scale. The encoder chooses their fineness: finer cells lose less rate by rounding but need more bits for
offsets.
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
_EXPONENTS = MIN_SCALE / SCALE_UNITS + 1 / 8, MAX_SCALE / SCALE_UNITS - 1 / 8  # a cell is left at either end
_MEANS = -float(1 << 20), float(1 << 20)  # bins


@dataclass(frozen=True)
class Tolerance:
    """Largest difference between two machines' outputs that a stream must tolerate.

    ``mean_bins`` applies to x_hat's part of the location, in bins; ``scale_octaves`` to the exponent of the scale.
    """

    mean_bins: float
    scale_octaves: float


@dataclass(frozen=True)
class Cells:
    """Rounded outputs of a set of coordinates, as integers for the entropy coder."""

    mean: np.ndarray
    """x_hat's part of the location, fixed point with 16 fractional bits, int64 [N]."""
    scale: np.ndarray
    """Exponent of the scale in multiples of 1/2048, int64 [N]."""


@dataclass(frozen=True)
class Grid:
    """The rounding of a set of coordinates: offsets of the scales, fineness and offsets of the means.

    The set has ``size`` coordinates in the order of coding; outputs can be rounded part by part.
    """

    scale: Offsets
    fineness: int
    mean: Offsets
    size: int

    def round(self, mean_bins: np.ndarray, log2_scale: np.ndarray, begin: int = 0) -> Cells:
        """Rounds the outputs, float64 [N], of coordinates ``begin`` to ``begin + N - 1``."""
        scale = _round_scale(_clip(log2_scale, *_EXPONENTS), self.scale, begin, self.size)
        mean = _round_mean(_clip(mean_bins, *_MEANS), scale, self.fineness, self.mean, begin, self.size)
        return Cells(mean, scale)


def write(writer: Writer, mean_bins: np.ndarray, log2_scale: np.ndarray, tolerance: Tolerance) -> Cells:
    """Chooses and writes fineness and offsets, and returns the rounded outputs. Both inputs are float64 [N].

    Raises :class:`uqdm.coding.offsets.MarginError` if even the smallest groups have no offset that fits.
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
    """log2 of the number of cells per bin of the coarsest grid of means, for scales of 2^octave to 2^(octave + 1) bins.

    The bits of offsets are in proportion to 1 / cell, those lost by rounding to cell^2 times the Fisher information of
    a symbol on its mean (see :func:`_rounding_bits`). The sum is least if the cell is in proportion to
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
"""Cells per bin, by octave."""


def _rounding_bits() -> np.ndarray:
    """Expected bits lost by rounding a mean to the coarsest grid, by octave: cell^2 / 12 times half the information.

    A logistic symbol of scale s in bins of width 1 has an information of about 1 / (s + 3 s^2) on its mean, in nats:
    1 / s for narrow ones, where only a bin's edge near the mean is informative, and 1 / (3 s^2) for wide ones.
    """
    s = np.exp2(np.array(_OCTAVES) + 0.5)
    return 1 / _COARSEST_CELLS**2 / 12 / 2 / (s + 3 * s * s) / math.log(2)


_ROUNDING_BITS = _rounding_bits()


def _choose_means(mean: np.ndarray, scale: np.ndarray, eps_bins: float) -> tuple[int, Offsets]:
    """Fineness and offsets of the fewest bits in total: of the offsets, and lost by rounding."""
    counts = np.bincount((scale >> SCALE_BITS) - _OCTAVES[0], minlength=len(_OCTAVES))
    # A fraction exp(-blocked) of a group's offsets is free; selecting one of them takes about `blocked` nats.
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
