"""GIF: the first frame, on the canvas; later frames, comments and extensions are left out before decoding."""

from __future__ import annotations

import struct

from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from uqdm.images.changes import Change
from uqdm.images.errors import check_size, damaged
from uqdm.images.format import Pixels, Reader, decoded

_EXTENSION = 0x21
_GRAPHIC_CONTROL = 0xF9
_IMAGE = 0x2C
_TRAILER = b";"


def _read(data: bytes, max_pixels: int) -> Pixels:
    if len(data) < 13:
        raise damaged("its header is too short")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = start = 13 + _table_bytes(flags)
    control = b""
    while data[place : place + 1] == bytes([_EXTENSION]):
        end = _end_of_blocks(data, place + 2)
        if data[place + 1] == _GRAPHIC_CONTROL:
            control = data[place:end]
        place = end
    if data[place : place + 1] != bytes([_IMAGE]) or place + 11 > len(data):
        raise damaged("it has no frame")
    left, top, across, down, local = struct.unpack_from("<HHHHB", data, place + 1)
    check_size(max(width, left + across), max(height, top + down), max_pixels)
    end = _end_of_blocks(data, place + 11 + _table_bytes(local))
    n_later = _later_frames(data, end)
    alone = b"".join((data[:start], control, data[place:end], _TRAILER))
    colours = (_table_bytes(local) or _table_bytes(flags)) // 3
    transparent = control[6] if len(control) >= 8 and control[3] & 1 else -1

    def check(image: Image.Image) -> None:
        beyond = image.histogram()[colours:256] if image.mode in ("P", "L") else []
        if any(n and colours + place != transparent for place, n in enumerate(beyond)):
            raise damaged(f"a pixel has a colour that is not among the {colours} of the palette")

    return decoded(GifImageFile, alone, max_pixels, check).and_(*[Change.FIRST] * (n_later > 0))


def _later_frames(data: bytes, place: int) -> int:
    """Number of frames after the first; raises RefusedError if a file ends inside one. The last byte may be missing."""
    found = 0
    while place < len(data) and data[place] in (_EXTENSION, _IMAGE):
        if data[place] == _EXTENSION:
            place = _end_of_blocks(data, place + 2)
        elif place + 11 <= len(data):
            place = _end_of_blocks(data, place + 11 + _table_bytes(data[place + 9]))
            found += 1
        else:
            raise damaged("the file ends inside a later frame")
    return found


def _table_bytes(flags: int) -> int:
    """Length in bytes of the colour table, by the flags."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _end_of_blocks(data: bytes, place: int) -> int:
    """End of a run of data blocks, after its empty block."""
    while place < len(data) and data[place]:
        place += 1 + data[place]
    if place >= len(data):
        raise damaged("the file ends inside a block")
    return place + 1


READER = Reader("GIF", lambda head: head[:6] in (b"GIF87a", b"GIF89a"), _read)
