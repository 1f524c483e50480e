"""The file: header, index, and the segments of the streams in the order of the steps.

An image is a sequence of tiles. Up to 16 consecutive tiles are a chunk, which has its own stream. Every stream is cut
at the ends of its stages: the T steps, and the last stage where it is not free. The file has the first stage of all
chunks, then the second, and so on, so that a prefix of the file is an image with fewer steps. ``docs/format.md``
specifies the layout.
"""

from __future__ import annotations

import binascii
import bisect
import functools
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from uqdm.codec import StreamError, StreamParts
from uqdm.coding.fields import Field, faults_of

MAGIC = b"UQ"
VERSIONS = (1, 2)
"""2: the coordinates of a step are coded in sections, and the images of steps are rounded separately."""
CHUNK_TILES = 16
MODEL_ID_BYTES = 3
HEADER_CHECK_BYTES = 2
"""Length of the check value of header and index, which ends the header."""
MAX_SIDE = 1 << 20
MAX_PIXELS = 1 << 28
"""Maximum of pixels that a header may state."""
_FIRST_BYTES = (0, 192, 240, 252, 255, 256)
"""First values of the first byte in numbers of 1, 2, ... 5 bytes."""
# Bits of the flags; those between are seed_bits.
_DOUBLE, _SEED_BITS_SHIFT, _SEED_BITS_MASK, _HAS_SIZE, _HAS_SEED = 1, 1, 15, 32, 64
_EPS_BASE = 4  # codes of tolerances are 2^-4 to 2^-34 in steps of 2^-2
MAX_EPS = 2.0**-_EPS_BASE
"""The largest tolerance that a header can state, in bins or octaves."""
TILE_SIZE = Field("tile_size", 1, 1 << 15, power_of_two=True)
N_STAGES = Field("n_stages", 1, 16)
FIELDS = (
    Field("width", 1, MAX_SIDE),
    Field("height", 1, MAX_SIDE),
    TILE_SIZE,
    N_STAGES,
    Field("seed", 0, (1 << 32) - 1),
    Field("seed_bits", 0, _SEED_BITS_MASK),
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
    """The network ran in float64."""
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

    @functools.cached_property
    def chunks(self) -> list[range]:
        """The tiles of each chunk."""
        return [range(i, min(i + CHUNK_TILES, self.n_tiles)) for i in range(0, self.n_tiles, CHUNK_TILES)]


@dataclass(frozen=True)
class Stage:
    """One segment of one chunk: its place in the file, and the check value of its content.

    ``check`` is None for the last stage, whose check value is inside the stream.
    """

    begin: int
    end: int
    check: int | None


@dataclass(frozen=True)
class Layout:
    """Header and index of a file: where each segment of its streams is."""

    header: Header
    stages: list[list[Stage]]
    """By chunk, then by stage."""
    header_bytes: int
    index_bytes: int

    def stage_end(self, n_stages: int) -> int:
        """Size of the prefix with the first ``n_stages`` stages of all chunks, in bytes (0: header and index)."""
        if n_stages == 0:
            return self.header_bytes + self.index_bytes
        return self.stages[-1][n_stages - 1].end

    def parts(self, n_bytes: int) -> StreamParts:
        """Where the first ``n_bytes`` bytes go, which hold header and index: streams; index and check values; header.

        Offsets of grids and the check value of the last stage are inside the streams.
        """
        side_bytes = HEADER_CHECK_BYTES + self.index_bytes
        payload_bytes = n_bytes - self.header_bytes - self.index_bytes
        return StreamParts(payload_bytes, side_bytes, self.header_bytes - HEADER_CHECK_BYTES)

    def stages_in(self, n_bytes: int) -> int:
        """Number of stages that are complete in the first ``n_bytes`` bytes of the file."""
        return sum(stage.end <= n_bytes for stage in self.stages[-1])

    def check_length(self, n_bytes: int) -> None:
        """Raises :class:`uqdm.codec.StreamError` for a file that is longer than its index says."""
        end = self.stages[-1][-1].end
        if n_bytes > end:
            raise StreamError(f"the file is longer than its index says: {n_bytes} bytes instead of {end}")


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


def pack(header: Header, streams: list[bytes], marks: list[list[int]], checks: list[list[int]]) -> bytes:
    """The bytes of a file from the chunks' streams.

    ``marks`` are, by chunk, the sizes of the stream up to the end of each stage but the last, in bytes; ``checks`` the
    check values (16 bits) of the same stages. Raises ValueError for a header with an invalid value.
    """
    header.check()
    segments = [_split(stream, ends) for stream, ends in zip(streams, marks, strict=True)]
    index = bytearray()
    for parts, values in zip(segments, checks, strict=True):
        for part, value in itertools.zip_longest(parts, values):
            index += _number(len(part) // 2)
            if value is not None:
                index += value.to_bytes(2, "big")
    head = _pack_header(header)
    head += binascii.crc_hqx(head + index, 0xFFFF).to_bytes(2, "big") + index
    return head + b"".join(parts[stage] for stage in range(header.n_stages) for parts in segments)


def _split(stream: bytes, ends: list[int]) -> list[bytes]:
    bounds = [0, *ends, len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(bounds)]


def _pack_header(header: Header) -> bytes:
    has_size = (header.width, header.height) != (header.tile_size, header.tile_size)
    flags = _DOUBLE * header.double | header.seed_bits << _SEED_BITS_SHIFT
    flags |= _HAS_SIZE * has_size | _HAS_SEED * (header.seed > 0)
    layout = (header.tile_size.bit_length() - 1) << 4 | (header.n_stages - 1)
    eps = _eps_code(header.mean_eps_bins) << 4 | _eps_code(header.scale_eps_octaves)
    fixed = MAGIC + bytes([header.version]) + header.model_id + bytes([flags, layout, eps])
    size = _number(header.width) + _number(header.height) if has_size else b""
    return fixed + size + (_number(header.seed) if header.seed else b"")


def is_coded_file(head: bytes) -> bool:
    """Whether a file with these first bytes is of this format, in any known version.

    >>> is_coded_file(b"UQ\\x02..."), is_coded_file(b"UQ"), is_coded_file(b"\\x89PNG")
    (True, False, False)
    """
    return head.startswith(MAGIC) and len(head) > len(MAGIC) and head[len(MAGIC)] in VERSIONS


def parse(data: bytes) -> Container:
    """Parses a file or a prefix; :class:`uqdm.codec.StreamError` names the fault."""
    layout = read_layout(io.BytesIO(data))
    layout.check_length(len(data))
    return Container(**vars(layout), data=data)


def read_layout(file: BinaryIO) -> Layout:
    """Reads header and index at the beginning of a file, and no more; StreamError names the fault.

    Memory is in proportion to the bytes of the index, whatever the header states.
    """
    source = _Source(file)
    if source.take(len(MAGIC), "magic") != MAGIC:
        raise StreamError(f"not a UQDM file: it starts with {bytes(source.taken) + file.read(4 - len(MAGIC))!r}")
    if (version := source.take(1, "version")[0]) not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise StreamError(f"format version {version} is unknown; this program reads versions {known}")
    header = _parse_header(source, version)
    head = bytes(source.taken)
    crc = source.take(HEADER_CHECK_BYTES, "header check")
    index_begin = len(source.taken)
    entries = _parse_index(source, header)
    index = bytes(source.taken[index_begin:])
    if binascii.crc_hqx(head + index, 0xFFFF).to_bytes(2, "big") != crc:
        raise StreamError("header or index is damaged: their check value differs")
    return Layout(header, _locate(entries, len(source.taken), header), index_begin, len(index))


def _parse_header(source: _Source, version: int) -> Header:
    model_id = source.take(MODEL_ID_BYTES, "model id")
    flags, layout, eps = source.take(3, "flags")
    if flags >= 2 * _HAS_SEED:
        raise StreamError(f"flags {flags:#04x} are unknown to this version")
    tile_size = 1 << (layout >> 4)
    header = Header(
        model_id=model_id,
        width=source.number("width") if flags & _HAS_SIZE else tile_size,
        height=source.number("height") if flags & _HAS_SIZE else tile_size,
        tile_size=tile_size,
        n_stages=(layout & 15) + 1,
        seed=source.number("seed") if flags & _HAS_SEED else 0,
        seed_bits=(flags >> _SEED_BITS_SHIFT) & _SEED_BITS_MASK,
        double=bool(flags & _DOUBLE),
        mean_eps_bins=_eps(eps >> 4),
        scale_eps_octaves=_eps(eps & 15),
        version=version,
    )
    for fault in header.faults():
        raise StreamError(fault)
    return header


def _parse_index(source: _Source, header: Header) -> list[list[tuple[int, int | None]]]:
    # Every entry takes at least a byte, so that a header cannot state more chunks than the file has bytes.
    n_chunks = -(-header.n_tiles // CHUNK_TILES)
    return [[_parse_entry(source, stage, header) for stage in range(header.n_stages)] for _ in range(n_chunks)]


def _parse_entry(source: _Source, stage: int, header: Header) -> tuple[int, int | None]:
    """Size of a segment in bytes, and its check value."""
    n_bytes = 2 * source.number("index")
    if stage == 0 and n_bytes == 0:  # refused before an image of the stated size is allocated
        raise StreamError("step 1 of the file is damaged: 0 bytes are no stream")
    is_last = stage == header.n_stages - 1
    return n_bytes, None if is_last else int.from_bytes(source.take(2, "index"), "big")


def _locate(entries: list[list[tuple[int, int | None]]], begin: int, header: Header) -> list[list[Stage]]:
    stages: list[list[Stage]] = [[] for _ in entries]
    for stage in range(header.n_stages):
        for chunk, lengths in enumerate(entries):
            n_bytes, check = lengths[stage]
            stages[chunk].append(Stage(begin, begin + n_bytes, check))
            begin += n_bytes
    return stages


def _eps_code(eps: float) -> int:
    """The largest code whose value is not below ``eps``."""
    code = 0
    while code < 15 and _eps(code + 1) >= eps:
        code += 1
    return code


def _eps(code: int) -> float:
    return 2.0 ** -(_EPS_BASE + 2 * code)


def _number(value: int) -> bytes:
    """1 byte for values below 192, 2 for the next 48 * 2^8, and so on; the first byte determines how many follow."""
    for n_more, (first, past) in enumerate(itertools.pairwise(_FIRST_BYTES)):
        room = (past - first) << 8 * n_more
        if value < room:
            return (value + (first << 8 * n_more)).to_bytes(1 + n_more, "big")
        value -= room
    raise ValueError(f"{value} is too large for a file")


class _Source:
    """Reads bytes and numbers of a buffered file; errors name the field at which the file ends."""

    def __init__(self, file: BinaryIO):
        self._file, self.taken = file, bytearray()

    def take(self, n: int, what: str) -> bytes:
        part = self._file.read(n)
        self.taken += part
        if len(part) < n:
            raise StreamError(f"the file ends inside its {what} ({len(self.taken)} bytes)")
        return part

    def number(self, what: str) -> int:
        data = self.take(1, what)
        n_more = bisect.bisect_right(_FIRST_BYTES, data[0]) - 1
        data += self.take(n_more, what)
        below = sum(
            (past - first) << 8 * n for n, (first, past) in enumerate(itertools.pairwise(_FIRST_BYTES[: n_more + 1]))
        )
        return int.from_bytes(data, "big") - (_FIRST_BYTES[n_more] << 8 * n_more) + below


def describe(layout: Layout, n_bytes: int) -> dict[str, Any]:
    """Header and index of a file, or of a prefix, of ``n_bytes`` bytes, as plain data for JSON."""
    header, n_stages = layout.header, layout.header.n_stages
    ends = [layout.stage_end(stage) for stage in range(n_stages + 1)]
    n_pixels = header.width * header.height
    return {
        "format_version": header.version,
        "model_id": header.model_id.hex(),
        "width": header.width,
        "height": header.height,
        "tile_size": header.tile_size,
        "tiles": header.n_tiles,
        "chunks": len(header.chunks),
        "seed": header.seed,
        "seeds_tried": 1 << header.seed_bits,
        "network_precision": "float64" if header.double else "float32",
        "tolerance": {"mean_bins": header.mean_eps_bins, "scale_octaves": header.scale_eps_octaves},
        "bytes": {"file": n_bytes, "header": layout.header_bytes, "index": layout.index_bytes},
        "stages_held": layout.stages_in(n_bytes),
        "stages": [
            {
                "stage": stage + 1,
                "bytes": ends[stage + 1] - ends[stage],
                "ends_at": ends[stage + 1],
                "bpp_so_far": 8 * ends[stage + 1] / n_pixels,
                "checks": [_hex(chunk[stage].check) for chunk in layout.stages],
            }
            for stage in range(n_stages)
        ],
    }


def _hex(check: int | None) -> str:
    return "in the stream" if check is None else f"{check:04x}"
