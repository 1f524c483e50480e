"""JPEG 2000: depths by the header of its codestream (ITU-T T.800, annex A), and whether it is complete."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import features
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from uqdm.images.changes import depth_changes, profile_changes
from uqdm.images.errors import RefusedError, check_depth, check_size, damaged, not_read
from uqdm.images.format import Pixels, Reader, decoded
from uqdm.images.isobmff import boxes

_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_START = b"\xff\x4f\xff\x51"
_SOT = b"\xff\x90"
_EOC = b"\xff\xd9"
_SYCC = 18


@dataclass(frozen=True)
class _Siz:
    width: int
    height: int
    depths: list[int]
    tiles: int
    end: int


def _read(data: bytes, max_pixels: int) -> Pixels:
    if not features.check("jpg_2000"):
        raise RefusedError("this Pillow was built without JPEG 2000; install a Pillow wheel")
    start, end, colour, profile = _codestream(data) if data.startswith(_SIGNATURE) else (0, len(data), 0, b"")
    siz = _siz(data, start)
    check_size(siz.width, siz.height, max_pixels)
    check_depth(max(siz.depths))
    _check_parts(data, siz, end)
    pixels = decoded(Jpeg2KImageFile, data, max_pixels)
    fewer = min(siz.depths)
    if fewer < 8:
        if len(set(siz.depths)) > 1 or colour == _SYCC or len(siz.depths) in (2, 4):
            raise not_read(f"a JPEG 2000 file of {', '.join(map(str, siz.depths))} bits in its channels")
        _rescale(pixels.rgb_uint8, fewer)
    return pixels.and_(*depth_changes((1 << fewer) - 1), *profile_changes(profile))


def _rescale(rgb_uint8: np.ndarray, bits: int) -> None:
    """Corrects, in place, Pillow's left shift of values with fewer bits, after which the greatest is not 255."""
    values = np.arange(256) >> (8 - bits)
    most = (1 << bits) - 1
    table = ((2 * 255 * values + most) // (2 * most)).astype(np.uint8)
    for row in rgb_uint8:
        row[:] = table[row]


def _codestream(data: bytes) -> tuple[int, int, int, bytes]:
    """Start and end of the codestream in a JP2 file, the number of the colour space, or 0 and the ICC profile."""
    colour, profile = 0, b""
    for kind, first, last in boxes(data, 0, len(data)):
        if kind == b"jp2h":
            for inner, begin, end in boxes(data, first, last):
                if inner == b"colr" and end - begin >= 7 and data[begin] == 1 and not colour:
                    colour = int.from_bytes(data[begin + 3 : begin + 7], "big")
                if inner == b"colr" and end - begin > 3 and data[begin] in (2, 3):
                    profile = data[begin + 3 : end]
        if kind == b"jp2c":
            return first, last, colour, b"" if colour else profile
    raise damaged("there is no codestream in it")


def _siz(data: bytes, start: int) -> _Siz:
    if data[start : start + 4] != _START:
        raise damaged("its codestream has no header")
    length, _, right, bottom, left, top = struct.unpack_from(">HHIIII", data, start + 4)
    across, down, tile_left, tile_top = struct.unpack_from(">IIII", data, start + 24)
    (n,) = struct.unpack_from(">H", data, start + 40)
    parts = data[start + 42 : start + 42 + 3 * n]
    if not n or len(parts) < 3 * n:
        raise damaged("its header names no channels")
    if any(part & 0x80 for part in parts[::3]):
        raise not_read("a JPEG 2000 file of signed values")
    sampling = {bytes(parts[3 * i + 1 : 3 * i + 3]) for i in range(n)}
    if len(sampling) > 1:
        raise not_read("a JPEG 2000 file whose channels have different sizes")
    if not across or not down:
        raise damaged("its tiles have no size")
    tiles = -(-(right - tile_left) // across) * -(-(bottom - tile_top) // down)
    return _Siz(right - left, bottom - top, [(part & 0x7F) + 1 for part in parts[::3]], tiles, start + 4 + length)


def _check_parts(data: bytes, siz: _Siz, end: int) -> None:
    """Whether the tile parts follow each other to the end marker, and each tile has all its parts.

    OpenJPEG leaves missing tiles black.
    """
    place = siz.end
    seen = Counter[int]()
    announced: dict[int, int] = {}
    while data[place : place + 2] not in (_SOT, _EOC):
        if place + 4 > end or data[place] != 0xFF:
            raise damaged("its header ends too early")
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    while data[place : place + 2] == _SOT:
        tile, length, _, total = struct.unpack_from(">HIBB", data, place + 4)
        seen[tile] += 1
        announced[tile] = max(total, announced.get(tile, 1))
        if length == 0:  # the last one extends to the end
            place = max(place, data.rfind(_EOC, place, end))
            break
        place += max(length, 12)
    if place + 2 > end or data[place : place + 2] != _EOC:
        raise damaged("its codestream has no end")
    if len(seen) < siz.tiles:
        raise damaged(f"{len(seen)} of {siz.tiles} tiles")
    if any(seen[tile] < n for tile, n in announced.items()):
        raise damaged("a part of a tile is missing")


READER = Reader("JPEG 2000", lambda head: head.startswith((_SIGNATURE, _START)), _read)
