"""The file: a header, then the bits of the steps; a prefix is a coarser image.

| bytes | what |
| --- | --- |
| 2 | ``DM`` |
| 1 | format version, 1 |
| 3 | first bytes of the model's digest |
| 1 | log2(codewords) - 1 in the high four bits; in the low ones the bits of a coefficient, or 0 for Turbo-DDCM |
| 1 | side of the tiles |
| 1 | flags: 1 if a size follows, 2 if a seed follows |
| n | codewords in a step and tile |
| n | coded steps |
| n | free steps |
| n | depth: the coded steps end at the model's gamma_max - depth / 8 |
| n | spacing of the coded steps, in hundredths |
| n, n | width and height, unless both are the side of the tiles |
| n | seed, unless it is 0 |
| 2 | CRC-16 of the above |

n is a number of 1 to 5 bytes (:func:`uqdm.coding.layout.pack_number`). Each step has a choice for each tile, all of the
same number of bits (:mod:`uqdm.ddcm.choice`). They follow one another without gaps; zeros fill the last byte. The file
ends with 2 bytes of CRC-16 of all steps. Numbers are big-endian.
"""

from __future__ import annotations

import binascii
import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uqdm.channel.prefix_code import BitReader
from uqdm.codec import StreamError, StreamParts
from uqdm.coding.fields import Field, faults_of
from uqdm.coding.layout import Source, pack_number
from uqdm.ddcm.choice import Choice, Method, Pursuit, Threshold
from uqdm.ddcm.noise_levels import NoiseLevels
from uqdm.progressive import tiles

MAGIC = b"DM"
VERSION = 1
_FIXED = struct.Struct(">2sB3sBBB")
_HAS_SIZE, _HAS_SEED = 1, 2
CHECK_BYTES = 2
MODEL_ID_BYTES = 3
MAX_COORDINATES = 1 << 22
"""Maximum of coordinates that a header may state."""
MAX_NUMBERS = 1 << 38
"""Maximum of random numbers that a decoder draws for a file: about an hour of one core."""
TILE_SIZE = Field("tile_size", 1, 255)
FIELDS = (
    Field("word_bits", 1, 16),
    Field("coefficient_bits", 0, 8),
    TILE_SIZE,
    Field("vectors", 1, 1024),
    Field("n_coded", 1, 4096),
    Field("n_free", 1, 255),
    Field("depth", 1, 255),
    Field("spacing", 0, 255),
    Field("width", 1, (1 << 16) - 1),
    Field("height", 1, (1 << 16) - 1),
    Field("seed", 0, (1 << 16) - 1),
)
"""Ranges of the header's integers, for writers, readers and the check of models."""


@dataclass(frozen=True)
class Header:
    """Parameters that a decoder needs before the first step; see the table above."""

    model_id: bytes
    word_bits: int
    coefficient_bits: int
    tile_size: int
    vectors: int
    n_coded: int
    n_free: int
    depth: int
    spacing: int
    width: int
    height: int
    seed: int

    def faults(self) -> Iterator[str]:
        """Descriptions of all values that are invalid in a file."""
        yield from faults_of(self, FIELDS)
        if self.n_coordinates > MAX_COORDINATES:
            yield f"{self.n_coordinates} coordinates exceed the limit of {MAX_COORDINATES}"
        if self.coefficient_bits == 0 and self.vectors > 1 << self.word_bits:
            yield f"{self.vectors} different codewords cannot be chosen from {1 << self.word_bits}"
        if self.n_coded * self.vectors * self.n_coordinates > MAX_NUMBERS:
            yield f"decoding would take more than {MAX_NUMBERS} random numbers"

    @property
    def n_tiles(self) -> int:
        """Tiles of the image."""
        return tiles.count(self.height, self.width, self.tile_size)

    @property
    def n_coordinates(self) -> int:
        """Coordinates of all tiles."""
        return self.n_tiles * 3 * self.tile_size**2

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the latents."""
        return self.n_tiles, 3, self.tile_size, self.tile_size

    @property
    def method(self) -> Method:
        """How the codewords are chosen."""
        if self.coefficient_bits == 0:
            return Threshold(1 << self.word_bits, self.vectors)
        return Pursuit(1 << self.word_bits, self.vectors, self.coefficient_bits)

    @property
    def levels(self) -> NoiseLevels:
        """The noise levels of the steps."""
        return NoiseLevels(self.n_coded, self.n_free, self.depth, self.spacing)


@dataclass(frozen=True)
class Parsed:
    """A file, or a prefix of one. ``n_steps`` is the number of its complete steps."""

    header: Header
    header_bytes: int
    body: bytes
    step_bits: int
    """Bits of a step of all tiles."""

    @property
    def n_steps(self) -> int:
        """Complete steps in the body."""
        return min(self.header.n_coded, 8 * len(self.body) // self.step_bits)

    def end(self, n_steps: int) -> int:
        """Size of the shortest prefix with that many steps, in bytes."""
        return self.header_bytes + -(-n_steps * self.step_bits // 8)

    def steps(self) -> list[list[Choice]]:
        """The choices of all complete steps and tiles; :class:`StreamError` for bits that no encoder writes."""
        method, reader = self.header.method, BitReader(_bits(self.body))
        try:
            return [[method.read(reader) for _ in range(self.header.n_tiles)] for _ in range(self.n_steps)]
        except ValueError as error:
            raise StreamError(f"the steps are damaged: {error}") from error

    def parts(self, n_bytes: int) -> StreamParts:
        """Where the first ``n_bytes`` go: steps; check values; header."""
        steps_end = self.end(self.header.n_coded)
        side_bytes = CHECK_BYTES + max(n_bytes - steps_end, 0)
        container_bytes = self.header_bytes - CHECK_BYTES
        return StreamParts(n_bytes - side_bytes - container_bytes, side_bytes, container_bytes)


def pack(header: Header, steps: Sequence[Sequence[Choice]]) -> bytes:
    """The bytes of a file with all its steps; each has a choice for each tile."""
    has_size = (header.width, header.height) != (header.tile_size, header.tile_size)
    methods = (header.word_bits - 1) << 4 | header.coefficient_bits
    flags = _HAS_SIZE * has_size | _HAS_SEED * (header.seed > 0)
    head = _FIXED.pack(MAGIC, VERSION, header.model_id, methods, header.tile_size, flags)
    numbers = [header.vectors, header.n_coded, header.n_free, header.depth, header.spacing]
    numbers += [header.width, header.height] if has_size else []
    numbers += [header.seed] if header.seed else []
    head += b"".join(map(pack_number, numbers))
    method = header.method
    body = _to_bytes("".join(method.write(choice) for choices in steps for choice in choices))
    return head + _crc(head) + body + _crc(body)


def parse(data: bytes) -> Parsed:
    """A file or a prefix of one, checked; :class:`StreamError` names the fault."""
    if data[:2] != MAGIC:
        raise StreamError(f"not a DDCM file: it starts with {data[:4]!r}")
    source = Source(io.BytesIO(data))
    _, version, model_id, methods, tile_size, flags = _FIXED.unpack(source.take(_FIXED.size, "header"))
    if version != VERSION:
        raise StreamError(f"format version {version} is unknown; this program reads version {VERSION}")
    numbers = [source.number("header") for _ in range(5)]
    size = [source.number("header") for _ in range(2)] if flags & _HAS_SIZE else [tile_size, tile_size]
    seed = source.number("header") if flags & _HAS_SEED else 0
    expected = _crc(bytes(source.taken))
    if source.take(CHECK_BYTES, "header") != expected:
        raise StreamError("the header is damaged: its check value differs")
    if flags & ~(_HAS_SIZE | _HAS_SEED):
        raise StreamError(f"flags {flags} are unknown")
    vectors, n_coded, n_free, depth, spacing = numbers
    header = Header(
        model_id=model_id,
        word_bits=(methods >> 4) + 1,
        coefficient_bits=methods & 15,
        tile_size=tile_size,
        vectors=vectors,
        n_coded=n_coded,
        n_free=n_free,
        depth=depth,
        spacing=spacing,
        width=size[0],
        height=size[1],
        seed=seed,
    )
    for fault in header.faults():
        raise StreamError(fault)
    parsed = Parsed(header, source.position, data[source.position :], header.n_tiles * header.method.n_bits)
    _check_end(parsed)
    return parsed


def _check_end(parsed: Parsed) -> None:
    """Raises :class:`StreamError` for a body that is too long, or a whole one whose check value differs."""
    end = parsed.end(parsed.header.n_coded) - parsed.header_bytes
    steps, rest = parsed.body[:end], parsed.body[end:]
    if len(rest) > CHECK_BYTES:
        raise StreamError(f"{len(rest) - CHECK_BYTES} bytes follow the last step")
    if len(rest) == CHECK_BYTES and _crc(steps) != rest:
        raise StreamError("the file is damaged: its check value differs")


def _to_bytes(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def _bits(data: bytes) -> str:
    return format(int.from_bytes(data, "big"), f"0{8 * len(data)}b") if data else ""


def _crc(data: bytes) -> bytes:
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")
