"""From tiles to the segments of their chunks, and back.

A chunk has a segment for each stage: a short stream with the shift of the stage's rounding, the symbols, and a check
value of 16 bits. This is the running CRC-32 of the header, the number of the chunk, all symbols so far and the pictures
between the steps, so that a damaged file, a file of another model and a machine with other pictures are all found.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uqdm.codec import StreamError
from uqdm.coding.ans import SHORT_CHECK_BITS, DamagedStreamError, Reader, Writer
from uqdm.progressive.banded.rounding import Rounding, next_shift, read_shift, write_shift
from uqdm.progressive.banded.steps import Coded, Draws, Known, Networks, advance, begin
from uqdm.progressive.banded.symbols import Read, Written

_CHECK_MASK = (1 << SHORT_CHECK_BITS) - 1


@dataclass(frozen=True)
class TileChunk:
    """The tiles of one chunk of one file."""

    head: bytes
    """The file's header."""
    number: int
    draws: Draws

    @property
    def n_tiles(self) -> int:
        """Number of tiles."""
        return len(self.draws.seeds)

    @property
    def first_check(self) -> int:
        """Running check value before the first stage."""
        return zlib.crc32(self.number.to_bytes(4, "big"), zlib.crc32(self.head))


@dataclass(frozen=True)
class CodedChunk:
    """A chunk's segments by stage, and the ideal bits of each stage, summed over its tiles."""

    segments: list[bytes]
    ideal_bits: list[float]


class Group:
    """Chunks that are coded together, with one call of the networks for all their tiles."""

    def __init__(self, chunks: Sequence[TileChunk]):
        self.chunks = list(chunks)
        ends = np.cumsum([chunk.n_tiles for chunk in chunks]).tolist()
        self.rows = [slice(end - chunk.n_tiles, end) for chunk, end in zip(chunks, ends, strict=True)]
        """Rows of each chunk's tiles."""
        self.draws = Draws(
            [seed for chunk in chunks for seed in chunk.draws.seeds],
            [position for chunk in chunks for position in chunk.draws.positions],
        )
        self.checks = [chunk.first_check for chunk in chunks]

    @property
    def n_tiles(self) -> int:
        """Tiles of all chunks."""
        return len(self.draws.seeds)

    def by_tile(self, values: Sequence) -> list:  # type: ignore[type-arg]
        """A value of each chunk, repeated for each of its tiles."""
        return [value for value, rows in zip(values, self.rows, strict=True) for _ in range(rows.stop - rows.start)]

    def update_checks(self, coded: Coded, picture: np.ndarray | None) -> None:
        """Adds the symbols of a stage, and levels uint8 [B, ...] of the picture after it, to the check values."""
        for number, rows in enumerate(self.rows):
            check = self.checks[number]
            for row in range(rows.start, rows.stop):
                for part in coded.symbols[row]:
                    check = zlib.crc32(part.astype("<i4").tobytes(), check)
                if picture is not None:
                    check = zlib.crc32(picture[row].tobytes(), check)
            self.checks[number] = check


def encode(networks: Networks, levels: np.ndarray, group: Group, *, ideal: bool) -> list[CodedChunk]:
    """Codes tiles, levels int64 [B, 3, S, S], to chunks. Raises :class:`uqdm.coding.offsets.MarginError`."""
    known, coefficients = begin(networks, group.n_tiles), networks.coefficients(levels)
    made: list[CodedChunk] = [CodedChunk([], []) for _ in group.chunks]
    for stage in range(networks.schedule.n_steps + 1):
        data = coefficients if stage < networks.schedule.n_band_steps else levels
        known, writers = _encode_stage(networks, known, data, group, made, ideal=ideal)
        for chunk, writer, check in zip(made, writers, group.checks, strict=True):
            chunk.segments.append(writer.finish_short(check & _CHECK_MASK))
    return made


def _encode_stage(
    networks: Networks, known: Known, data: np.ndarray, group: Group, made: list[CodedChunk], *, ideal: bool
) -> tuple[Known, list[Writer]]:
    shifts = [0] * len(group.chunks)
    while True:
        writers = [Writer() for _ in group.chunks]
        for writer, shift in zip(writers, shifts, strict=True):
            write_shift(writer, shift)
        rounding = Rounding(group.by_tile(shifts))
        source = Written(data, group.by_tile(writers))
        after, coded = advance(networks, known, group.draws, rounding, source, ideal=ideal)
        picture = after.picture(rounding) if after.n_done <= networks.schedule.n_steps else None
        if rounding.clear.all():
            break
        clear = [bool(rounding.clear[rows].all()) for rows in group.rows]
        shifts = [shift if fine else next_shift(shift) for shift, fine in zip(shifts, clear, strict=True)]
    group.update_checks(coded, picture)
    if ideal:
        for chunk, rows in zip(made, group.rows, strict=True):
            chunk.ideal_bits.append(float(coded.ideal_bits[rows].sum()))
    return after, writers


@dataclass(frozen=True)
class Decoded:
    """Tiles after a stage: what is known, and levels uint8 [B, 3, S, S] of the denoised picture, or of the image."""

    known: Known
    levels: np.ndarray
    ideal_bits: np.ndarray
    """Of the stage, by tile, if asked for."""


def decode(
    networks: Networks, group: Group, segments: Sequence[Sequence[bytes]], n_stages: int, *, ideal: bool = False
) -> Iterator[Decoded]:
    """Decodes the first ``n_stages`` stages of chunks; yields the tiles before the first stage, then after each.

    ``segments`` are by chunk, then by stage. Raises :class:`uqdm.codec.StreamError` where one is damaged.
    """
    known = begin(networks, group.n_tiles)
    nothing = np.zeros(group.n_tiles)
    yield Decoded(known, known.picture(Rounding([0] * group.n_tiles)), nothing)
    for stage in range(n_stages):
        is_last = stage == networks.schedule.n_steps
        name = "the last stage" if is_last else f"step {stage + 1}"
        try:
            readers = [Reader.short(own[stage]) for own in segments]
            rounding = Rounding(group.by_tile([read_shift(reader) for reader in readers]))
            source = Read(group.by_tile(readers))
            known, coded = advance(networks, known, group.draws, rounding, source, ideal=ideal)
            levels = known.window[0].astype(np.uint8) if is_last and known.window else known.picture(rounding)
            group.update_checks(coded, None if is_last else levels)
            stated = [reader.check() for reader in readers]
        except (DamagedStreamError, StreamError) as error:
            raise StreamError(f"{name} of the file is damaged: {error}") from error
        if stated != [check & _CHECK_MASK for check in group.checks]:
            raise StreamError(f"{name} of the file is damaged: its check value differs")
        yield Decoded(known, levels, coded.ideal_bits)


__all__ = ["CodedChunk", "Decoded", "Group", "TileChunk", "decode", "encode"]
