"""Rounding a network's outputs so that encoder and decoder get the same integers from slightly different floats.

Two machines' outputs differ by some eps. Rounded to a grid they are equal unless one lies within eps of a boundary
between cells. So the encoder shifts the grid, by one of 256 offsets for each group of coordinates, such that none of
the group's outputs lies within eps of a boundary, and sends the offsets: any decoder whose error is below eps then
finds the same cells. Where no offset does it, the encoder uses more, smaller groups.

Scales are rounded in their exponent, to cells of 1/8 octave; means (x_hat, in bins) to cells that depend on the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from uqdm.coding.ans import Reader, Writer
from uqdm.coding.logistic import MAX_SCALE, MIN_SCALE, SCALE_UNITS

OFFSETS = 256
OFFSET_BITS = 8
GROUP_BITS = 6
MAX_GROUPS = 1 << GROUP_BITS
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


def write(writer: Writer, mean_bins: np.ndarray, log2_scale: np.ndarray, tolerance: Tolerance, *, fine: bool) -> Cells:
    """Chooses offsets, writes them, and returns the rounded outputs. Both inputs are float64 [N].

    ``fine`` takes smaller cells for means, which costs less rate and needs outputs that differ by next to nothing.
    Raises :class:`MarginError` where even the smallest groups leave no margin.
    """
    exponent = _clip(log2_scale, (MIN_SCALE + _CELL_UNITS) / SCALE_UNITS, (MAX_SCALE - _CELL_UNITS) / SCALE_UNITS)
    eps = np.full(exponent.shape, tolerance.scale_octaves * SCALE_CELLS)
    offsets = _choose(exponent * SCALE_CELLS, eps)
    _write_offsets(writer, offsets)
    scale = _scale_cells(exponent, offsets)
    cells_per_bin = np.ldexp(1.0, _mean_cell_bits(scale, fine))
    in_cells = _clip(mean_bins, -MEAN_LIMIT, MEAN_LIMIT) * cells_per_bin
    offsets = _choose(in_cells, tolerance.mean_bins * cells_per_bin)
    _write_offsets(writer, offsets)
    return Cells(_mean_cells(in_cells, offsets, scale, fine), scale)


def read(reader: Reader, mean_bins: np.ndarray, log2_scale: np.ndarray, *, fine: bool) -> Cells:
    """The reverse of :func:`write`, on outputs that differ by less than the writer's tolerance."""
    exponent = _clip(log2_scale, (MIN_SCALE + _CELL_UNITS) / SCALE_UNITS, (MAX_SCALE - _CELL_UNITS) / SCALE_UNITS)
    scale = _scale_cells(exponent, _read_offsets(reader))
    in_cells = _clip(mean_bins, -MEAN_LIMIT, MEAN_LIMIT) * np.ldexp(1.0, _mean_cell_bits(scale, fine))
    return Cells(_mean_cells(in_cells, _read_offsets(reader), scale, fine), scale)


def _clip(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # A NaN must not reach a conversion to integers, whose result differs between machines.
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=high, neginf=low), low, high)


def _mean_cell_bits(scale: np.ndarray, fine: bool) -> np.ndarray:
    """log2 of a mean's cells in a bin: small cells where the logistic is narrow, large ones where it is wide."""
    octave = scale // SCALE_UNITS
    return np.clip(4 - octave, -4, 8) if fine else np.clip(1 - octave, -4, 4)


def _scale_cells(exponent: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    shift = _spread(offsets, exponent.size)
    cell = np.floor(exponent * SCALE_CELLS + shift / OFFSETS).astype(np.int64)
    return np.clip(cell * _CELL_UNITS - shift + _CELL_UNITS // 2, MIN_SCALE, MAX_SCALE)


def _mean_cells(in_cells: np.ndarray, offsets: np.ndarray, scale: np.ndarray, fine: bool) -> np.ndarray:
    shift = _spread(offsets, in_cells.size)
    cell = np.floor(in_cells + shift / OFFSETS).astype(np.int64)
    return (cell * OFFSETS - shift + OFFSETS // 2) << (16 - _MEAN_BITS - _mean_cell_bits(scale, fine))


def _spread(offsets: np.ndarray, size: int) -> np.ndarray:
    """The offset of each coordinate: groups are runs of equal length, the last may be shorter."""
    return np.repeat(offsets, -(-size // offsets.size))[:size]


def _write_offsets(writer: Writer, offsets: np.ndarray) -> None:
    writer.raw(offsets.size - 1, GROUP_BITS)
    for offset in offsets:
        writer.raw(int(offset), OFFSET_BITS)


def _read_offsets(reader: Reader) -> np.ndarray:
    return np.array([reader.raw(OFFSET_BITS) for _ in range(1 + reader.raw(GROUP_BITS))], np.int64)


def _choose(in_cells: np.ndarray, eps_cells: np.ndarray) -> np.ndarray:
    """Offsets, int64 [groups], that keep every coordinate its eps away from a boundary; as few as can be found."""
    # About exp(-2 sum(eps)) of the offsets are free: fewer groups than this have next to no chance.
    groups = 1 + int(2 * eps_cells.sum() / np.log(OFFSETS))
    while groups <= MAX_GROUPS:
        length = -(-in_cells.size // groups)
        runs = [slice(i, i + length) for i in range(0, in_cells.size, length)]
        offsets = _offsets_of_runs(in_cells, eps_cells, runs)
        if offsets is not None:
            return offsets
        groups += 1 + groups // 8
    raise MarginError(f"outputs within {float(np.max(eps_cells)):.2g} cells cannot be kept apart")


def _offsets_of_runs(in_cells: np.ndarray, eps_cells: np.ndarray, runs: list[slice]) -> np.ndarray | None:
    offsets = []
    for run in runs:
        offset, slack = _best_offset(in_cells[run], eps_cells[run])
        if slack < 1.0:
            return None
        offsets.append(offset)
    return np.array(offsets, np.int64)


@njit(cache=True, nogil=True)
def _best_offset(in_cells: np.ndarray, eps_cells: np.ndarray) -> tuple[int, float]:
    """The offset whose nearest boundary is furthest, in units of eps, and that distance."""
    slack = np.full(OFFSETS, np.inf)
    for i in range(in_cells.size):
        position = OFFSETS * (np.ceil(in_cells[i]) - in_cells[i])  # the offset that puts a boundary on the value
        nearest = int(np.rint(position))
        for offset in range(nearest - 1, nearest + 2):
            distance = abs(position - offset) / OFFSETS / eps_cells[i]
            slack[offset % OFFSETS] = min(slack[offset % OFFSETS], distance)
    best = np.argmax(slack)
    # Only neighbours were looked at: an offset without any is one and a half steps away from every boundary, or more.
    return int(best), min(slack[best], 1.5 / OFFSETS / eps_cells.max())
