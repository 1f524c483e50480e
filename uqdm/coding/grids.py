"""Rounding a network's outputs so that encoder and decoder get the same integers from slightly different floats.

Two machines' outputs differ by some eps. Rounded to a grid they are equal unless one lies within eps of a boundary
between cells. So the encoder shifts the grid, by one of 256 offsets for each group of coordinates, such that none of
the group's outputs lies within eps of a boundary, and sends the offsets: any decoder whose error is below eps then
finds the same cells. Where no offset does it, the encoder uses more, smaller groups.

Scales are rounded in their exponent, to cells of 1/8 octave. Means (x_hat, in bins) are rounded to cells whose width
follows the scale; how fine they are is the encoder's choice, between the rate lost by rounding and the offsets that
finer cells need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from uqdm.coding.ans import Reader, Writer
from uqdm.coding.logistic import MAX_SCALE, MIN_SCALE, SCALE_UNITS

OFFSETS = 256
GROUP_BITS = 5
MAX_GROUPS = 1 << GROUP_BITS
FINENESS_BITS = 2
_LENGTH_BITS = 3  # an offset's place in the order of trial is below 2^8 - 1: an Elias gamma code of at most 3 + 7 bits
# Order of trial: each next offset is far from those before (bits reversed), so that a free one is soon found.
_ORDER = np.array([int(f"{place:08b}"[::-1], 2) for place in range(OFFSETS - 1)], np.int64)
_PLACE = {int(offset): place for place, offset in enumerate(_ORDER)}
SCALE_CELLS = 8  # in an octave
_CELL_UNITS = SCALE_UNITS // SCALE_CELLS  # 256: a scale's cell shifts in steps of its own resolution
_MEAN_BITS = 8  # a mean's cell is divided in 256 as well
MEAN_LIMIT = float(1 << 20)  # bins


class MarginError(ValueError):
    """No offsets keep every coordinate away from a boundary; the network must be run more exactly."""


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


def write(writer: Writer, mean_bins: np.ndarray, log2_scale: np.ndarray, tolerance: Tolerance) -> Cells:
    """Chooses fineness and offsets, writes them, and returns the rounded outputs. Both inputs are float64 [N].

    Raises :class:`MarginError` where even the smallest groups leave no margin.
    """
    exponent = _exponent(log2_scale)
    offsets = _choose(exponent * SCALE_CELLS, np.full(exponent.shape, tolerance.scale_octaves * SCALE_CELLS))
    _write_offsets(writer, offsets)
    scale = _scale_cells(exponent, offsets)
    fineness, offsets = _choose_means(_mean(mean_bins), scale, tolerance.mean_bins)
    writer.raw(fineness, FINENESS_BITS)
    _write_offsets(writer, offsets)
    return Cells(_mean_cells(_mean(mean_bins), offsets, _mean_cell_bits(scale, fineness)), scale)


def read(reader: Reader, mean_bins: np.ndarray, log2_scale: np.ndarray) -> Cells:
    """The reverse of :func:`write`, on outputs that differ by less than the writer's tolerance."""
    scale = _scale_cells(_exponent(log2_scale), _read_offsets(reader))
    fineness = reader.raw(FINENESS_BITS)
    return Cells(_mean_cells(_mean(mean_bins), _read_offsets(reader), _mean_cell_bits(scale, fineness)), scale)


def _exponent(log2_scale: np.ndarray) -> np.ndarray:
    return _clip(log2_scale, (MIN_SCALE + _CELL_UNITS) / SCALE_UNITS, (MAX_SCALE - _CELL_UNITS) / SCALE_UNITS)


def _mean(mean_bins: np.ndarray) -> np.ndarray:
    return _clip(mean_bins, -MEAN_LIMIT, MEAN_LIMIT)


def _clip(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # A NaN must not reach a conversion to integers, whose result differs between machines.
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=high, neginf=low), low, high)


def _mean_cell_bits(scale: np.ndarray, fineness: int) -> np.ndarray:
    """log2 of a mean's cells in a bin: small cells where the logistic is narrow, large ones where it is wide."""
    return np.clip(1 + fineness - (scale // SCALE_UNITS), -4, 4 + fineness)


def _scale_cells(exponent: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    shift = _spread(offsets, exponent.size)
    cell = np.floor(exponent * SCALE_CELLS + shift / OFFSETS).astype(np.int64)
    return np.clip(cell * _CELL_UNITS - shift + _CELL_UNITS // 2, MIN_SCALE, MAX_SCALE)


def _mean_cells(mean: np.ndarray, offsets: np.ndarray, cell_bits: np.ndarray) -> np.ndarray:
    shift = _spread(offsets, mean.size)
    cell = np.floor(np.ldexp(mean, cell_bits) + shift / OFFSETS).astype(np.int64)
    return (cell * OFFSETS - shift + OFFSETS // 2) << (16 - _MEAN_BITS - cell_bits)


def _spread(offsets: np.ndarray, size: int) -> np.ndarray:
    """The offset of each coordinate: groups are runs of equal length, the last may be shorter."""
    return np.repeat(offsets, -(-size // offsets.size))[:size]


def _write_offsets(writer: Writer, offsets: np.ndarray) -> None:
    writer.raw(offsets.size - 1, GROUP_BITS)
    for offset in offsets.tolist():
        value = _PLACE[offset] + 1
        length = value.bit_length() - 1
        writer.raw(length, _LENGTH_BITS)
        if length:
            writer.raw(value - (1 << length), length)


def _read_offsets(reader: Reader) -> np.ndarray:
    places = []
    for _ in range(1 + reader.raw(GROUP_BITS)):
        length = reader.raw(_LENGTH_BITS)
        places.append((1 << length) - 1 + (reader.raw(length) if length else 0))
    return _ORDER[places]


def _offset_bits(offsets: np.ndarray) -> int:
    places = [_PLACE[offset] + 1 for offset in offsets.tolist()]
    return GROUP_BITS + sum(_LENGTH_BITS + place.bit_length() - 1 for place in places)


def _choose_means(mean: np.ndarray, scale: np.ndarray, eps_bins: float) -> tuple[int, np.ndarray]:
    """Fineness and offsets of the fewest bits in all: those of the offsets and those lost by rounding."""
    best: tuple[float, int, np.ndarray] | None = None
    for fineness in range(1 << FINENESS_BITS):
        cell_bits = _mean_cell_bits(scale, fineness)
        lost = _rounding_bits(scale, cell_bits)
        try:
            offsets = _choose(np.ldexp(mean, cell_bits), np.ldexp(eps_bins, cell_bits))
        except MarginError:
            if best is None:
                raise
            break
        bits = _offset_bits(offsets) + lost
        if best is not None and bits >= best[0]:
            break
        best = bits, fineness, offsets
    assert best is not None
    return best[1:]


def _rounding_bits(scale: np.ndarray, cell_bits: np.ndarray) -> float:
    """Expected bits lost by rounding means: half the squared error (cell^2 / 12) times the information on the mean.

    A logistic symbol of scale s in bins of width 1 holds about 1 / (s + 3 s^2) of it, in nats: 1 / s for narrow ones,
    where only a bin's edge near the mean tells anything, and 1 / (3 s^2) for wide ones.
    """
    s = np.exp2(scale / SCALE_UNITS)
    return float((np.ldexp(1.0, -2 * cell_bits) / (s + 3 * s * s)).sum() / 24 / math.log(2))


def _choose(in_cells: np.ndarray, eps_cells: np.ndarray) -> np.ndarray:
    """Offsets, int64 [groups], that keep every coordinate its eps away from a boundary; as few as can be found."""
    # About exp(-2 sum(eps)) of the offsets are free: fewer groups than this have next to no chance.
    groups = 1 + int(2 * eps_cells.sum() / math.log(OFFSETS))
    while groups <= MAX_GROUPS:
        length = -(-in_cells.size // groups)
        runs = [slice(begin, begin + length) for begin in range(0, in_cells.size, length)]
        places = [_first_free(in_cells[run], eps_cells[run], _ORDER) for run in runs]
        if min(places) >= 0:
            return _ORDER[places]
        groups += 1 + groups // 8
    raise MarginError(f"outputs within {float(np.max(eps_cells)):.2g} cells cannot be kept apart")


@njit(cache=True, nogil=True)
def _first_free(in_cells: np.ndarray, eps_cells: np.ndarray, order: np.ndarray) -> int:
    """Place of the first offset that leaves every coordinate its eps; -1 if there is none."""
    free = np.ones(OFFSETS, np.bool_)
    for i in range(in_cells.size):
        eps = eps_cells[i] * OFFSETS
        position = OFFSETS * (np.ceil(in_cells[i]) - in_cells[i])  # the offset that puts a boundary on the value
        for offset in range(int(np.ceil(position - eps)), int(np.floor(position + eps)) + 1):
            free[offset % OFFSETS] = False
    for place in range(order.size):
        if free[order[place]]:
            return place
    return -1
