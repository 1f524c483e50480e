"""PNG: checks the chunks that define the pixels, and skips all others."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from uqdm.images.changes import Change, inflated, profile_changes
from uqdm.images.deflate import check_deflate
from uqdm.images.errors import check_depth, check_size, damaged
from uqdm.images.exif import orientation_of
from uqdm.images.format import Pixels, Reader, decoded

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = 0
_PALETTE = 3
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# Adam7: first column and row of each pass, and the steps between its columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_NOTED = (b"eXIf", b"iCCP", b"sRGB", b"gAMA", b"acTL")
_SRGB_GAMMA = struct.pack(">I", 45455)  # PNG specification, 11.3.2.5


def _read(data: bytes, max_pixels: int) -> Pixels:
    kept, others = _chunks(data)
    width, height, bits, colour = _header(kept[0][1])
    check_depth(bits)
    check_size(width, height, max_pixels)
    transparency = b""
    if colour == _GREY:  # of fewer than 8 bits: Pillow would compare it with the scaled values
        transparency = next((bytes(body) for kind, body in kept if kind == b"tRNS"), b"")
        kept = [(kind, body) for kind, body in kept if kind != b"tRNS"]
    _check_length(kept, width, height, bits, colour)
    colours = sum(len(body) for kind, body in kept if kind == b"PLTE") // 3

    def check(image: Image.Image) -> None:
        if colour == _PALETTE and image.getextrema()[1] >= colours:  # type: ignore[operator]
            raise damaged(f"a pixel has a colour that is not among the {colours} of the palette")

    pixels = decoded(PngImageFile, _file(kept), max_pixels, check)
    if len(transparency) >= 2:
        grey = int.from_bytes(transparency[:2], "big") * (255 // (2**bits - 1))
        is_clear = pixels.rgb_uint8[..., 0] == grey
        pixels.rgb_uint8[is_clear] = 255
        pixels = pixels.and_(*[Change.ALPHA] * bool(is_clear.any()))
    return pixels.and_(*_changes(others), orientation=orientation_of(others.get(b"eXIf", b"")))


def _changes(others: Mapping[bytes, bytes]) -> Iterator[Change]:
    """What the chunks say that do not define the pixels: colours that are not sRGB, and further pictures."""
    if b"iCCP" in others:
        _, _, profile = others[b"iCCP"].partition(b"\0")
        yield from profile_changes(inflated(profile[1:]))
    elif b"sRGB" not in others and others.get(b"gAMA", _SRGB_GAMMA) != _SRGB_GAMMA:
        yield Change.PROFILE
    if int.from_bytes(others.get(b"acTL", b"")[:4], "big") > 1:
        yield Change.FIRST


def _chunks(data: bytes) -> tuple[list[tuple[bytes, memoryview]], dict[bytes, bytes]]:
    """The chunks that define the pixels, up to IEND, and the last complete one of each kind in ``_NOTED``."""
    view = memoryview(data)
    kept: list[tuple[bytes, memoryview]] = []
    others: dict[bytes, bytes] = {}
    place = len(SIGNATURE)
    while not kept or kept[-1][0] != b"IEND":
        kind, body, is_whole = _chunk(data, view, place)
        place += 12 + len(body)
        if kind in _PIXELS:
            if not is_whole:
                raise damaged(f"the checksum of the chunk {kind.decode()} is wrong")
            kept.append((kind, body))
        elif kind[:1].isupper():
            raise damaged(f"a chunk {kind!r} that no decoder knows")
        elif kind in _NOTED and is_whole:
            others[kind] = bytes(body)
    if kept[0][0] != b"IHDR" or len(kept[0][1]) != 13 or [kind for kind, _ in kept].count(b"IHDR") > 1:
        raise damaged("it does not begin with one header chunk IHDR")
    if not any(kind == b"IDAT" for kind, _ in kept):
        raise damaged("there is no chunk IDAT, so there are no pixels")
    return kept, others


def _chunk(data: bytes, view: memoryview, place: int) -> tuple[bytes, memoryview, bool]:
    """Kind and content of a chunk, and whether its checksum is correct."""
    if place + 12 > len(data):
        raise damaged("the file ends before its last chunk, IEND")
    (length,) = struct.unpack_from(">I", data, place)
    end = place + 8 + length
    if end + 4 > len(data):
        raise damaged(f"the file ends inside a chunk {data[place + 4 : place + 8]!r}")
    (checksum,) = struct.unpack_from(">I", data, end)
    return data[place + 4 : place + 8], view[place + 8 : end], zlib.crc32(view[place + 4 : end]) == checksum


def _check_length(chunks: list[tuple[bytes, memoryview]], width: int, height: int, bits: int, colour: int) -> None:
    """Checks that the compressed data are complete and fill the pixels, since Pillow fills in missing ones."""
    passes = _PASSES if chunks[0][1][12] else ((0, 0, 1, 1),)
    expected = 0
    for left, top, across, down in passes:
        columns = -(-(width - left) // across)
        rows = -(-(height - top) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + -(-columns * _CHANNELS.get(colour, 4) * bits // 8))
    check_deflate([body for kind, body in chunks if kind == b"IDAT"], expected)


def _header(body: memoryview) -> tuple[int, int, int, int]:
    width, height, bits, colour, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", body)
    if compression or filtering or interlace > 1:
        raise damaged(f"a compression {compression}, filter {filtering} or interlace {interlace} that does not exist")
    return width, height, bits, colour


def _file(chunks: list[tuple[bytes, memoryview]]) -> bytes:
    out = io.BytesIO()
    out.write(SIGNATURE)
    for kind, body in chunks:
        checksum = zlib.crc32(body, zlib.crc32(kind))
        for part in (struct.pack(">I", len(body)), kind, body, struct.pack(">I", checksum)):
            out.write(part)
    return out.getvalue()


READER = Reader("PNG", lambda head: head.startswith(SIGNATURE), _read)
