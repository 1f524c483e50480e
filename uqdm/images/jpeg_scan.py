"""Reads the entropy-coded data of a JPEG scan without making pixels of it, to see whether it is whole.

Source: ITU-T T.81, annexes F.2 (sequential) and G.2 (progressive).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from uqdm.images.errors import damaged

_ENOUGH = 512  # bytes of zeros after the data: one block reads at most 216 beyond its end
_BAD_CODE = 1
_EARLY = 2
_LATE = 3
_BEYOND = 4
_RANGE = 5
_FAULTS = {
    _BAD_CODE: "a Huffman code that does not exist",
    _EARLY: "the data of a scan end too early",
    _LATE: "bytes are left over after the data of a scan",
    _BEYOND: "a block has more coefficients than it can",
    _RANGE: "a coefficient is larger than any of a picture",
}


class Component:
    """One component of a frame: its sampling, and how many blocks it has."""

    def __init__(
        self, identity: int, across: int, down: int, most_across: int, most_down: int, width: int, height: int
    ) -> None:
        self.identity = identity
        self.across = across
        self.down = down
        self.units_across = -(-width // (8 * most_across))
        self.units_down = -(-height // (8 * most_down))
        self.blocks_across = -(-width * across // (8 * most_across))
        self.blocks_down = -(-height * down // (8 * most_down))
        self.seen = np.zeros(0, np.uint64)
        """Of each block, which coefficients are not zero so far, a bit each: refinements depend on it."""


@dataclass
class Tables:
    """What segments before a scan define for it."""

    huffman: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    restart_interval: int = 0


@dataclass
class Scan:
    """A scan's header: its components with their (DC, AC) tables, its coefficients, and their bits."""

    components: list[int]
    codes: list[tuple[int, int]]
    first: int
    last: int
    high: int
    low: int


def lookup_table(counts: bytes, symbols: bytes) -> np.ndarray:
    """For each next 16 bits, 256 x the length of the code they begin with, plus its symbol; 0 where there is none."""
    table = np.zeros(1 << 16, np.int32)
    code, place = 0, 0
    for length, count in enumerate(counts, start=1):
        span = 1 << (16 - length)
        for symbol in symbols[place : place + count]:
            if code + span > 1 << 16:
                raise damaged("a Huffman table has more codes than fit")
            table[code : code + span] = 256 * length + symbol
            code += span
        place += count
    return table


def check_scan(
    scan: Scan, components: Sequence[Component], tables: Tables, progressive: bool, pieces: Sequence[bytes]
) -> None:
    """Raises RefusedError unless ``pieces``, the data between restart markers, are exactly the blocks of the scan."""
    chosen = [components[number] for number in scan.components]
    units, blocks = _layout(chosen)
    each = tables.restart_interval or units
    if len(pieces) != -(-units // each):
        raise damaged(f"a scan has {len(pieces) - 1} restart markers, expected {-(-units // each) - 1}")
    bounds = np.cumsum([0, *(len(piece) for piece in pieces)], dtype=np.int64)
    data = np.frombuffer(b"".join(pieces) + bytes(_ENOUGH), np.uint8)
    dc = _stacked(tables, 0, [code for code, _ in scan.codes], needed=scan.first == 0 and scan.high == 0)
    ac = _stacked(tables, 1, [code for _, code in scan.codes], needed=scan.last > 0)
    if not progressive:
        fault = _check_sequential(data, bounds, units, each, blocks, dc, ac)
    elif scan.first == 0:
        fault = _check_dc(data, bounds, units, each, blocks, dc, scan.high > 0, scan.low)
    else:
        seen = _seen(chosen[0])
        fault = _check_ac(data, bounds, units, each, ac[0], scan.first, scan.last, scan.high > 0, seen)
    if fault:
        raise damaged(_FAULTS[fault])


def _layout(chosen: Sequence[Component]) -> tuple[int, np.ndarray]:
    """The number of units (MCU) in a scan, and the blocks of each component in a unit."""
    if len(chosen) == 1:
        return chosen[0].blocks_across * chosen[0].blocks_down, np.ones(1, np.int64)
    units = chosen[0].units_across * chosen[0].units_down
    return units, np.array([component.across * component.down for component in chosen], np.int64)


def _stacked(tables: Tables, kind: int, numbers: Sequence[int], *, needed: bool) -> np.ndarray:
    if not needed:
        return np.zeros((len(numbers), 1 << 16), np.int32)
    missing = [number for number in numbers if (kind, number) not in tables.huffman]
    if missing:
        raise damaged(f"Huffman table {missing[0]} is missing")
    return np.stack([tables.huffman[kind, number] for number in numbers])


def _seen(component: Component) -> np.ndarray:
    if not component.seen.size:
        component.seen = np.zeros(component.blocks_across * component.blocks_down, np.uint64)
    return component.seen


# A position counts bits from the start of the data. Looking ahead sees the next piece's bits, or zeros at the end: that
# the position has passed its piece is seen after the block at the latest.


@njit(cache=True)
def _next16(data, position):  # type: ignore[no-untyped-def]
    byte = position >> 3
    three = (np.int64(data[byte]) << 16) | (np.int64(data[byte + 1]) << 8) | np.int64(data[byte + 2])
    return (three >> (8 - (position & 7))) & 0xFFFF


@njit(cache=True)
def _ending(position, end):  # type: ignore[no-untyped-def]
    """The fault of a piece that was read up to a position; up to 7 bits fill its last byte."""
    if position > 8 * end:
        return _EARLY
    return _LATE if 8 * end - position >= 8 else 0


@njit(cache=True)
def _difference(data, position, size):  # type: ignore[no-untyped-def]
    bits = _next16(data, position) >> (16 - size)
    return bits if size == 0 or bits >> (size - 1) else bits - (1 << size) + 1


@njit(cache=True)
def _check_sequential(data, bounds, units, each, blocks, dc, ac):  # type: ignore[no-untyped-def]
    predicted = np.zeros(blocks.size, np.int64)
    for piece in range(bounds.size - 1):
        position, limit = 8 * bounds[piece], 8 * bounds[piece + 1]
        predicted[:] = 0
        for _ in range(min(each, units - piece * each)):
            for component in range(blocks.size):
                for _ in range(blocks[component]):
                    entry = dc[component, _next16(data, position)]
                    size = entry & 255
                    if entry == 0:
                        return _EARLY if position + 16 > limit else _BAD_CODE
                    if size > 11:
                        return _RANGE
                    position += entry >> 8
                    predicted[component] += _difference(data, position, size)
                    position += size
                    if abs(predicted[component]) > 2048:
                        return _RANGE
                    k = 1
                    while k < 64:
                        entry = ac[component, _next16(data, position)]
                        if entry == 0:
                            return _EARLY if position + 16 > limit else _BAD_CODE
                        run, size = (entry >> 4) & 15, entry & 15
                        position += (entry >> 8) + size
                        if size == 0:
                            if run < 15:
                                break
                            k += 16
                        else:
                            k += run + 1
                        if size > 10:
                            return _RANGE
                        if k > 64:
                            return _BEYOND
                    if position > limit:
                        return _EARLY
        fault = _ending(position, bounds[piece + 1])
        if fault:
            return fault
    return 0


@njit(cache=True)
def _check_dc(data, bounds, units, each, blocks, dc, refines, low):  # type: ignore[no-untyped-def]
    predicted = np.zeros(blocks.size, np.int64)
    for piece in range(bounds.size - 1):
        position, limit = 8 * bounds[piece], 8 * bounds[piece + 1]
        predicted[:] = 0
        for _ in range(min(each, units - piece * each)):
            for component in range(blocks.size):
                for _ in range(blocks[component]):
                    if refines:
                        position += 1
                    else:
                        entry = dc[component, _next16(data, position)]
                        size = entry & 255
                        if entry == 0:
                            return _EARLY if position + 16 > limit else _BAD_CODE
                        if size > 11:
                            return _RANGE
                        position += entry >> 8
                        predicted[component] += _difference(data, position, size)
                        position += size
                        if abs(predicted[component]) << low > 2048 + (1 << low):
                            return _RANGE
                    if position > limit:
                        return _EARLY
        fault = _ending(position, bounds[piece + 1])
        if fault:
            return fault
    return 0


@njit(cache=True)
def _check_ac(data, bounds, blocks, each, ac, first, last, refines, seen):  # type: ignore[no-untyped-def]
    for piece in range(bounds.size - 1):
        position, limit = 8 * bounds[piece], 8 * bounds[piece + 1]
        ended = 0  # blocks whose band has ended, this one included
        for block in range(piece * each, min((piece + 1) * each, blocks)):
            k = first
            while k <= last and ended == 0:
                entry = ac[_next16(data, position)]
                if entry == 0:
                    return _EARLY if position + 16 > limit else _BAD_CODE
                run, size = (entry >> 4) & 15, entry & 15
                position += entry >> 8
                if size == 0 and run < 15:
                    ended = (1 << run) + (_next16(data, position) >> (16 - run))
                    position += run
                    break
                if size > 10 or (refines and size > 1):
                    return _RANGE
                position += size
                while k <= last:  # passes over zeros; a refinement also over the bits of what is not zero
                    if refines and (seen[block] >> np.uint64(k)) & np.uint64(1) != 0:
                        position += 1
                    elif run == 0:
                        break
                    else:
                        run -= 1
                    k += 1
                if k > last and (size or run):
                    return _BEYOND
                if size:
                    seen[block] |= np.uint64(1) << np.uint64(k)
                k += 1
            if ended:
                if refines:
                    for rest in range(k, last + 1):
                        position += np.int64((seen[block] >> np.uint64(rest)) & np.uint64(1))
                ended -= 1
            if position > limit:
                return _EARLY
        if ended:
            return _BEYOND
        fault = _ending(position, bounds[piece + 1])
        if fault:
            return fault
    return 0
