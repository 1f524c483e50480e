"""What all versions of a ``.uqdm`` file share: header, places of the segments, numbers, and reading of a file.

An image is a sequence of tiles. Up to 16 consecutive tiles are a chunk. A file has a segment for each chunk and stage:
the T steps, and the last stage where it is not free. The segments of the first stage of all chunks come first, then
those of the second, and so on, so that a prefix of the file is an image with fewer steps. ``docs/format.md`` specifies
all versions.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from uqdm.codec import StreamError, StreamParts
from uqdm.coding.fields import Field, faults_of

MAGIC = b"UQ"
STAGED = 3
"""The version whose stages each have their lengths with them, and whose header has no check value."""
CHUNK_TILES = 16
MODEL_ID_BYTES = 3
HEADER_CHECK_BYTES = 2
"""Length of the check value of header and index, which ends the header in versions 1 and 2."""
MAX_SIDE = 1 << 20
MAX_PIXELS = 1 << 28
"""Maximum of pixels that a header may state."""
HAS_SIZE = 32
"""Flag of a header: width and height follow."""
HAS_SEED = 64
"""Flag of a header: a seed follows."""
SEED_BITS_MASK = 15
MAX_EPS = 2.0**-4
"""The largest tolerance that a header can state, in bins or octaves."""
_FIRST_BYTES = (0, 192, 240, 252, 255, 256)
"""First values of the first byte in numbers of 1, 2, ... 5 bytes."""
_BLOCK = 1 << 20
TILE_SIZE = Field("tile_size", 1, 1 << 15, power_of_two=True)
N_STAGES = Field("n_stages", 1, 16)
FIELDS = (
    Field("width", 1, MAX_SIDE),
    Field("height", 1, MAX_SIDE),
    TILE_SIZE,
    N_STAGES,
    Field("seed", 0, (1 << 32) - 1),
    Field("seed_bits", 0, SEED_BITS_MASK),
)
"""Ranges of the header's integers, for writers, readers and the check of models."""


@dataclass(frozen=True)
class Header:
    """Parameters that a decoder needs before the first step. ``n_stages`` is the number of segments of a chunk."""

    model_id: bytes
    width: int
    height: int
    tile_size: int
    n_stages: int
    seed: int = 0
    seed_bits: int = 0
    """Each tile's seed is ``seed`` plus a number of this many bits in its stream."""
    double: bool = False
    """The network ran in float64. In version 3 it always does; this and the tolerances are not stated there."""
    mean_eps_bins: float = MAX_EPS
    """Tolerated error of x_hat, in bins of any step; rounded up to a power of 4."""
    scale_eps_octaves: float = MAX_EPS
    version: int = 1

    def faults(self) -> Iterator[str]:
        """Descriptions of all values that are invalid in a file."""
        yield from faults_of(self, FIELDS)
        if self.width * self.height > MAX_PIXELS:
            yield f"size {self.width}x{self.height} exceeds the limit of {MAX_PIXELS} pixels"
        if self.seed + (1 << max(self.seed_bits, 0)) > 1 << 32:
            yield f"seed {self.seed} with {self.seed_bits} bits of choice is beyond 32 bits"
        if not max(self.mean_eps_bins, self.scale_eps_octaves) <= MAX_EPS:
            stated = f"{self.mean_eps_bins:.3g} bins, {self.scale_eps_octaves:.3g} octaves"
            yield f"a tolerance of {stated} is more than a header can state ({MAX_EPS})"
        if self.version == STAGED:
            yield from self._unstated()

    def _unstated(self) -> Iterator[str]:
        """Descriptions of values that a file of version 3 would lose."""
        for name in ("seed_bits", "double", "mean_eps_bins", "scale_eps_octaves"):
            value, default = getattr(self, name), getattr(Header, name)
            if value != default:
                yield f"{name} {value} is not stated in files of version {STAGED}: it must be {default}"

    def check(self) -> None:
        """Raises ValueError for a header with an invalid value."""
        for fault in self.faults():
            raise ValueError(fault)

    @property
    def tiles_across(self) -> int:
        """Tiles in a row of the image."""
        return -(-self.width // self.tile_size)

    @property
    def n_tiles(self) -> int:
        """Tiles of the image, row by row; those at the right and bottom may extend beyond it."""
        return self.tiles_across * -(-self.height // self.tile_size)

    @property
    def n_chunks(self) -> int:
        """Number of chunks; unlike ``chunks``, it takes no memory for a header that claims many."""
        return -(-self.n_tiles // CHUNK_TILES)

    @property
    def has_index(self) -> bool:
        """Whether a check value and an index of all segments follow; else each stage begins with its lengths."""
        return self.version != STAGED

    @functools.cached_property
    def chunks(self) -> list[range]:
        """The tiles of each chunk."""
        return [range(i, min(i + CHUNK_TILES, self.n_tiles)) for i in range(0, self.n_tiles, CHUNK_TILES)]


@dataclass(frozen=True)
class Stage:
    """One segment of one chunk: its place in the file, and the check value of its content.

    ``check`` is None where the check value is inside the segment: in the last stage, and in all of version 3.
    """

    begin: int
    end: int
    check: int | None = None


@dataclass(frozen=True)
class Layout:
    """Where each segment of a file is, as far as the file says."""

    header: Header
    stages: list[list[Stage]]
    """By chunk, then by stage: all stages of versions 1 and 2. Of version 3 those whose lengths are held, and no chunk
    if not even those of the first stage are."""
    header_bytes: int
    index_bytes: int
    """Size of the index; in version 3 of the lengths of the stages above."""
    bytes_read: int
    """The place in the file after all that was read and skipped."""

    @property
    def ends(self) -> list[int]:
        """Where each of the stages ends, in bytes from the beginning of the file."""
        return [stage.end for stage in self.stages[-1]] if self.stages else []

    def stage_end(self, n_stages: int) -> int:
        """Size of the prefix with the first ``n_stages`` stages of all chunks, in bytes (0: header and index).

        Raises :class:`uqdm.codec.StreamError` if the file is cut before it says that.
        """
        if n_stages == 0:
            return self.header_bytes + self.index_bytes * self.header.has_index
        ends = self.ends
        if len(ends) < n_stages <= self.header.n_stages:
            raise StreamError(f"the file is cut at {self.bytes_read} bytes, before it says where stage {n_stages} ends")
        return ends[n_stages - 1]

    def parts(self, n_bytes: int) -> StreamParts:
        """Where the first ``n_bytes`` bytes go, which hold header and index: streams; lengths, check values; header.

        Offsets of grids, and check values that are inside the streams, are parts of the streams.
        """
        container_bytes = self.header_bytes - HEADER_CHECK_BYTES * self.header.has_index
        begins = [stage.begin for stage in self.stages[0]] if self.stages else []
        segments = zip(begins, self.ends, strict=True)
        payload_bytes = sum(max(min(n_bytes, end) - begin, 0) for begin, end in segments)
        return StreamParts(payload_bytes, n_bytes - payload_bytes - container_bytes, container_bytes)

    def stages_in(self, n_bytes: int) -> int:
        """Number of stages that are complete in the first ``n_bytes`` bytes of the file."""
        return sum(end <= n_bytes for end in self.ends)

    def check_length(self, n_bytes: int) -> None:
        """Raises :class:`uqdm.codec.StreamError` for a file that is longer than it says itself."""
        ends = self.ends
        if len(ends) == self.header.n_stages and n_bytes > ends[-1]:
            says = "index" if self.header.has_index else "last stage"
            raise StreamError(f"the file is longer than its {says} says: {n_bytes} bytes instead of {ends[-1]}")


@dataclass(frozen=True, repr=False)
class Container(Layout):
    """A parsed file, or a prefix of one."""

    data: bytes

    def __repr__(self) -> str:
        header = self.header
        return f"Container({header.width}x{header.height} pixels, {len(self.data)} bytes, version {header.version})"

    def complete_stages(self) -> int:
        """Number of stages that are complete in these bytes."""
        return self.stages_in(len(self.data))

    def stream(self, chunk: int, n_stages: int) -> bytes:
        """The first ``n_stages`` stages of a chunk's stream."""
        return b"".join(self.data[stage.begin : stage.end] for stage in self.stages[chunk][:n_stages])

    def segment(self, chunk: int, stage: int) -> bytes:
        """The segment of a chunk in a stage, both counted from 0; StreamError if it is not held whole."""
        self.stage_end(stage + 1)  # refuses a stage of unknown place
        place = self.stages[chunk][stage]
        if place.end > len(self.data):
            raise StreamError(f"the file is cut at {len(self.data)} bytes, inside stage {stage + 1}")
        return self.data[place.begin : place.end]

    @property
    def head(self) -> bytes:
        """The bytes of the header, without index or lengths."""
        return self.data[: self.header_bytes]


def pack_fields(header: Header) -> tuple[int, int, bytes]:
    """The fields that all versions have: the byte of tile size and stages, flags, and the bytes of size and seed."""
    layout = (header.tile_size.bit_length() - 1) << 4 | (header.n_stages - 1)
    has_size = (header.width, header.height) != (header.tile_size, header.tile_size)
    flags = HAS_SIZE * has_size | HAS_SEED * (header.seed > 0)
    size = pack_number(header.width) + pack_number(header.height) if has_size else b""
    return layout, flags, size + (pack_number(header.seed) if header.seed else b"")


def parse_fields(source: Source, layout: int, flags: int) -> dict[str, Any]:
    """Reads size and seed as far as the flags say that they follow; the fields of :func:`pack_fields` by name."""
    tile_size = 1 << (layout >> 4)
    return {
        "tile_size": tile_size,
        "n_stages": (layout & 15) + 1,
        "width": source.number("width") if flags & HAS_SIZE else tile_size,
        "height": source.number("height") if flags & HAS_SIZE else tile_size,
        "seed": source.number("seed") if flags & HAS_SEED else 0,
    }


def pack_number(value: int) -> bytes:
    """The bytes of a number: 1 for values below 192, 2 for the next 48 * 2^8, and so on.

    The first byte determines how many follow.

    >>> pack_number(191), pack_number(192)
    (b'\\xbf', b'\\xc0\\x00')
    """
    for n_more, (first, past) in enumerate(itertools.pairwise(_FIRST_BYTES)):
        room = (past - first) << 8 * n_more
        if value < room:
            return (value + (first << 8 * n_more)).to_bytes(1 + n_more, "big")
        value -= room
    raise ValueError(f"{value} is too large for a file")


class FileEndError(StreamError):
    """The file ends inside a field."""


class Source:
    """Reads bytes and numbers of a buffered file; errors name the field at which the file ends."""

    def __init__(self, file: BinaryIO):
        self._file, self.taken, self._skipped = file, bytearray(), 0

    @property
    def position(self) -> int:
        """Bytes read and skipped so far."""
        return len(self.taken) + self._skipped

    def take(self, n: int, what: str) -> bytes:
        """The next ``n`` bytes."""
        part = self._file.read(n)
        self.taken += part
        if len(part) < n:
            raise FileEndError(f"the file ends inside its {what} ({self.position} bytes)")
        return part

    def skip(self, n: int) -> bool:
        """Skips ``n`` bytes, or all if there are fewer; whether there were as many. Pieces of a pipe are dropped."""
        n_skipped = self._seek(n) if self._file.seekable() else self._drop(n)
        self._skipped += n_skipped
        return n_skipped == n

    def _seek(self, n: int) -> int:
        begin = self._file.tell()
        end = min(begin + n, self._file.seek(0, os.SEEK_END))
        return self._file.seek(end) - begin

    def _drop(self, n: int) -> int:
        left = n
        while left and (piece := self._file.read(min(left, _BLOCK))):
            left -= len(piece)
        return n - left

    def number(self, what: str) -> int:
        """The next number."""
        data = self.take(1, what)
        n_more = bisect.bisect_right(_FIRST_BYTES, data[0]) - 1
        data += self.take(n_more, what)
        below = sum(
            (past - first) << 8 * n for n, (first, past) in enumerate(itertools.pairwise(_FIRST_BYTES[: n_more + 1]))
        )
        return int.from_bytes(data, "big") - (_FIRST_BYTES[n_more] << 8 * n_more) + below
