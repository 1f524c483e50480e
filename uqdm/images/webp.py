"""WebP: always 8 bits. Animations give their first frame; metadata are removed before decoding."""

from __future__ import annotations

import struct

from PIL import features
from PIL.WebPImagePlugin import WebPImageFile

from uqdm.images.changes import Change, profile_changes
from uqdm.images.errors import RefusedError, check_size, damaged
from uqdm.images.exif import orientation_of
from uqdm.images.format import Pixels, Reader, decoded

_HEADER = 12
_METADATA = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # and their flags in VP8X


def _read(data: bytes, max_pixels: int) -> Pixels:
    if not features.check("webp"):
        raise RefusedError("this Pillow was built without WebP; install a Pillow wheel")
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise damaged(f"{len(data)} bytes, but its header says {size + 8}")
    kept, exif, profile, frames = [], b"", b"", 0
    place = _HEADER
    while place + 8 <= size + 8:
        kind = data[place : place + 4]
        (length,) = struct.unpack_from("<I", data, place + 4)
        end = place + 8 + length + length % 2
        if place + 8 + length > size + 8:
            raise damaged(f"the file ends inside its part {kind!r}")
        check_size(*_size(kind, data[place + 8 : place + 18]), max_pixels)
        if kind == b"VP8X":
            flags = data[place + 8] & ~sum(_METADATA.values())
            kept.append(data[place : place + 8] + bytes([flags]) + data[place + 9 : end])
        elif kind == b"EXIF":
            exif = data[place + 8 : end]
        elif kind == b"ICCP":
            profile = data[place + 8 : end]
        elif kind not in _METADATA:
            kept.append(data[place:end])
        frames += kind == b"ANMF"
        place = end
    body = b"WEBP" + b"".join(kept)
    alone = b"RIFF" + struct.pack("<I", len(body)) + body
    changes = profile_changes(profile) + (Change.FIRST,) * (frames > 1)
    return decoded(WebPImageFile, alone, max_pixels).and_(*changes, orientation=orientation_of(exif))


def _size(kind: bytes, body: bytes) -> tuple[int, int]:
    """Width and height by the header of a part; 1 by 1 if it has none (RFC 9649, section 2)."""
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return 1, 1


READER = Reader("WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _read)
