"""The file: a header, then the steps in whole bytes; a prefix that ends with a step is a coarser image.

| bytes | what |
| --- | --- |
| 2 | ``DC`` |
| 1 | format version, 1 |
| 3 | first bytes of the model's digest |
| 1 | chunk_bits - 1 in the high four bits, margin_bits in the low ones |
| 1 | index of p's deviation in :data:`uqdm.diffusion.gaussian.DEVIATIONS` |
| 2 | T of the schedule |
| 2, 2 | width and height of the image; for points, their number and 0 |
| 1 | side of the tiles; 0 for points |
| 2 | seed |
| 2 | number of steps in the file |
| 2 | CRC-16 of the above |

A step starts with the Elias gamma code of the number of the schedule's steps that it merges. Then each section has the
bits that :mod:`uqdm.diffc.chunks` writes, and zeros fill the last byte. The file ends with 2 bytes of CRC-16 of all
steps. Numbers are big-endian.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from uqdm.codec import StreamError, StreamParts
from uqdm.coding.fields import Field, faults_of
from uqdm.progressive import tiles
from uqdm.text import counted

MAGIC = b"DC"
VERSION = 1
_FORMAT = struct.Struct(">2sB3sBBHHHBHH")
HEADER_BYTES = _FORMAT.size + 2
CHECK_BYTES = 2
MODEL_ID_BYTES = 3
MAX_COORDINATES = 1 << 22
"""Maximum of coordinates that a header may state."""
MAX_STEPS = 4096
MAX_SECTIONS = 256
"""Maximum of sections in a step: their seeds have a byte for the section's number."""
TILE_SIZE = Field("tile_size", 0, 255)
SCHEDULE_STEPS = Field("schedule_steps", 1, MAX_STEPS)
FIELDS = (
    Field("chunk_bits", 1, 16),
    Field("margin_bits", 1, 15),
    SCHEDULE_STEPS,
    Field("width", 1, (1 << 16) - 1),
    Field("height", 0, (1 << 16) - 1),
    TILE_SIZE,
    Field("seed", 0, (1 << 16) - 1),
    Field("n_steps", 1, MAX_STEPS),
)
"""Ranges of the header's integers, for writers, readers and the check of models."""


@dataclass(frozen=True)
class Header:
    """Parameters that a decoder needs before the first step; see the table above."""

    model_id: bytes
    chunk_bits: int
    margin_bits: int
    deviation: int
    schedule_steps: int
    width: int
    height: int
    tile_size: int
    seed: int
    n_steps: int

    def faults(self) -> Iterator[str]:
        """Descriptions of all values that are invalid in a file."""
        yield from faults_of(self, FIELDS)
        if (self.height == 0) != (self.tile_size == 0):
            yield f"a height of {self.height} and tiles of {self.tile_size} pixels do not fit together"
        if self.n_coordinates > MAX_COORDINATES:
            yield f"{self.n_coordinates} coordinates exceed the limit of {MAX_COORDINATES}"
        if self.n_steps > self.schedule_steps:
            yield f"{counted(self.n_steps, 'step')} of a schedule of {self.schedule_steps} are out of range"

    @property
    def n_patches(self) -> int:
        """Tiles of the image, or points of the block."""
        if self.tile_size == 0:
            return self.width
        return tiles.count(self.height, self.width, self.tile_size)

    @property
    def n_coordinates(self) -> int:
        """Coordinates of all tiles or points."""
        return self.n_patches * (2 if self.tile_size == 0 else 3 * self.tile_size**2)


def pack(header: Header, steps: list[bytes]) -> bytes:
    """The bytes of a file."""
    parameters = (header.chunk_bits - 1) << 4 | header.margin_bits
    head = _FORMAT.pack(
        MAGIC,
        VERSION,
        header.model_id,
        parameters,
        header.deviation,
        header.schedule_steps,
        header.width,
        header.height,
        header.tile_size,
        header.seed,
        header.n_steps,
    )
    body = b"".join(steps)
    return head + _crc(head) + body + _crc(body)


def parse(data: bytes) -> tuple[Header, bytes]:
    """The header of a file or of a prefix, and the body after it; :class:`StreamError` names the fault."""
    if data[:2] != MAGIC:
        raise StreamError(f"not a DiffC file: it starts with {data[:4]!r}")
    if len(data) < HEADER_BYTES:
        raise StreamError(f"the file ends inside its header ({len(data)} bytes)")
    if data[2] != VERSION:
        raise StreamError(f"format version {data[2]} is unknown; this program reads version {VERSION}")
    if _crc(data[: _FORMAT.size]) != data[_FORMAT.size : HEADER_BYTES]:
        raise StreamError("the header is damaged: its check value differs")
    _, _, model_id, parameters, deviation, schedule, width, height, tile, seed, n_steps = _FORMAT.unpack_from(data)
    header = Header(
        model_id, (parameters >> 4) + 1, parameters & 15, deviation, schedule, width, height, tile, seed, n_steps
    )
    for fault in header.faults():
        raise StreamError(fault)
    return header, data[HEADER_BYTES:]


def check_body(body: bytes, end: int) -> None:
    """Raises :class:`StreamError` if a body whose steps end at ``end`` is too long or has a wrong check value."""
    if len(body) > end + CHECK_BYTES:
        raise StreamError(f"{len(body) - end - CHECK_BYTES} bytes follow the last step")
    if len(body) == end + CHECK_BYTES and _crc(body[:end]) != body[end:]:
        raise StreamError("the file is damaged: its check value differs")


def parts(n_bytes: int, file_bytes: int) -> StreamParts:
    """Where the first ``n_bytes`` of a file of ``file_bytes`` go: steps; check values; header.

    >>> parts(200, file_bytes=200)
    StreamParts(payload_bytes=177, side_bytes=4, container_bytes=19)
    """
    side_bytes = CHECK_BYTES + (CHECK_BYTES if n_bytes == file_bytes else 0)
    return StreamParts(n_bytes - side_bytes - _FORMAT.size, side_bytes, _FORMAT.size)


def _crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")
