"""Shifts of a grid such that no value is near a boundary between its cells: choosing, writing and reading them.

Values are rounded to cells of 2^-bits, where bits may differ between values. An offset o moves all boundaries of a
group of values by o / 128 cells. Groups are runs of equal length; there are 1, 2, 4, ... or 64 of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uqdm.coding.ans import Reader, Writer
from uqdm.compiled import njit

OFFSET_BITS = 7
OFFSETS = 1 << OFFSET_BITS
MAX_HALVINGS = 6
MAX_GROUPS = 1 << MAX_HALVINGS
_LENGTH_BITS = 3  # of the number of bits, 0 to 7, of each offset in a set
# Order of trial: reversed bits, so that each offset is far from those before and a free one is found early.
_ORDER = np.array([int(f"{place:0{OFFSET_BITS}b}"[::-1], 2) for place in range(OFFSETS)], np.int64)
# Powers of 2 from 2^-32 on, for sizes of cells.
_POWERS_ZERO = 32
_POWERS = np.ldexp(1.0, np.arange(-_POWERS_ZERO, _POWERS_ZERO))


class MarginError(ValueError):
    """No offsets keep all coordinates away from boundaries; the network must run at a higher precision."""


def are_clear(values: np.ndarray, cell_bits: int, eps: float, shift: float = 0.0) -> bool:
    """Whether all values are more than ``eps`` away from the boundaries of cells of 2^-cell_bits, shifted by cells.

    >>> are_clear(np.array([0.2, 1.7]), 0, 0.1), are_clear(np.array([0.2, 1.95]), 0, 0.1)
    (True, False)
    """
    in_cells = np.ldexp(values, cell_bits) + shift
    return bool((np.abs(in_cells - np.rint(in_cells)) > np.ldexp(eps, cell_bits)).all())


@dataclass(frozen=True)
class Offsets:
    """Offsets of all groups, as places 0..127 in the order of trial, int64 [1, 2, 4, ... or 64]."""

    places: np.ndarray

    @property
    def length(self) -> int:
        """Bits of each place."""
        return int(_length(self.places))

    @property
    def halvings(self) -> int:
        """log2 of the number of groups."""
        return self.places.size.bit_length() - 1

    @property
    def bits(self) -> int:
        """Bits that :func:`write` takes."""
        return int(_bits(self.places))


def choose(values: np.ndarray, cell_bits: np.ndarray, eps: float) -> Offsets:
    """The offsets of the fewest bits that keep every value, float64 [N], ``eps`` away from all boundaries.

    ``cell_bits`` int64 [N] is log2 of the number of cells per unit. Raises :class:`MarginError`.
    """
    found = _choose(_block(values, cell_bits, eps, _POWERS), _ORDER)
    if not found.size:
        widest = np.ldexp(eps, int(cell_bits.max()))
        raise MarginError(f"no offsets keep outputs {widest:.2g} cells away from all boundaries")
    return Offsets(found)


def write(writer: Writer, offsets: Offsets) -> None:
    """Writes offsets for :func:`read`."""
    for halving in range(min(offsets.halvings + 1, MAX_HALVINGS)):
        writer.raw(int(halving < offsets.halvings), 1)
    writer.raw(offsets.length, _LENGTH_BITS)
    writer.choices(offsets.places, np.full(offsets.places.size, 1 << offsets.length))


def read(reader: Reader) -> Offsets:
    """Reads what :func:`write` wrote."""
    halvings = 0
    while halvings < MAX_HALVINGS and reader.raw(1):
        halvings += 1
    length = reader.raw(_LENGTH_BITS)
    return Offsets(reader.choices(np.full(1 << halvings, 1 << length)))


def round_to_cells(
    values: np.ndarray,
    cell_bits: np.ndarray,
    offsets: Offsets,
    fraction_bits: int,
    *,
    begin: int = 0,
    size: int | None = None,
) -> np.ndarray:
    """The middle of each value's cell, fixed point with ``fraction_bits`` fractional bits, int64 [N].

    ``cell_bits`` must be at most ``fraction_bits - 7``, so that middles are exact up to half of the last bit. The
    values may be a part of those that the offsets were chosen for: N of ``size``, from index ``begin`` on.
    """
    length = _group_length(values.size if size is None else size, offsets.places.size)
    return _round(values, cell_bits, _ORDER[offsets.places], fraction_bits, _POWERS, length, begin)


@njit(cache=True)
def _group_length(size: int, groups: int) -> int:
    # Groups are unions of 64ths, so that halving their number joins pairs.
    return -(-size // MAX_GROUPS) * (MAX_GROUPS // groups)


@njit(cache=True)
def _length(places: np.ndarray) -> int:
    length = 0
    while places.max() >> length:
        length += 1
    return length


@njit(cache=True)
def _bits(places: np.ndarray) -> int:
    halvings = 0
    while places.size >> (halvings + 1):
        halvings += 1
    return min(halvings + 1, MAX_HALVINGS) + _LENGTH_BITS + places.size * _length(places)


@njit(cache=True, nogil=True)
def _block(values: np.ndarray, cell_bits: np.ndarray, eps: float, powers: np.ndarray) -> np.ndarray:
    """For each of the smallest groups, the offsets that put a boundary within eps of a value; bool [64, 128]."""
    blocked = np.zeros((MAX_GROUPS, OFFSETS), np.bool_)
    length = _group_length(values.size, MAX_GROUPS)
    for group in range(MAX_GROUPS):
        for i in range(group * length, min((group + 1) * length, values.size)):
            cells = powers[cell_bits[i] + _POWERS_ZERO]
            in_cells = values[i] * cells
            reach = min(eps * cells * OFFSETS, OFFSETS)
            position = OFFSETS * (np.ceil(in_cells) - in_cells)  # the offset that puts a boundary on the value
            for offset in range(int(np.ceil(position - reach)), int(np.floor(position + reach)) + 1):
                blocked[group, offset & (OFFSETS - 1)] = True
    return blocked


@njit(cache=True, nogil=True)
def _choose(blocked: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Places of the free offsets of the fewest bits over all numbers of groups; empty if there are none."""
    best = np.empty(0, np.int64)
    while True:
        places = _first_free(blocked, order)
        if places.size and (not best.size or _bits(places) <= _bits(best)):
            best = places
        if blocked.shape[0] == 1:
            return best
        blocked = blocked[0::2] | blocked[1::2]


@njit(cache=True)
def _first_free(blocked: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Place of the first free offset of each group; empty if a group has none."""
    places = np.empty(blocked.shape[0], np.int64)
    for group in range(places.size):
        place = 0
        while place < order.size and blocked[group, order[place]]:
            place += 1
        if place == order.size:
            return places[:0]
        places[group] = place
    return places


@njit(cache=True, nogil=True)
def _round(
    values: np.ndarray,
    cell_bits: np.ndarray,
    offsets: np.ndarray,
    fraction_bits: int,
    powers: np.ndarray,
    length: int,
    begin: int,
) -> np.ndarray:
    rounded = np.empty(values.size, np.int64)
    for group in range(begin // length, offsets.size):
        offset, shift = offsets[group], offsets[group] / OFFSETS
        for i in range(max(group * length - begin, 0), min((group + 1) * length - begin, values.size)):
            cell = int(np.floor(values[i] * powers[cell_bits[i] + _POWERS_ZERO] + shift))
            rounded[i] = (cell * OFFSETS - offset + OFFSETS // 2) << (fraction_bits - OFFSET_BITS - cell_bits[i])
    return rounded
