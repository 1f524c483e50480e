"""WebP: always 8 bits. Of an animation the first frame; metadata are left out before decoding."""

from __future__ import annotations

import struct

from PIL import features
from PIL.WebPImagePlugin import WebPImageFile

from uqdm.images.errors import RefusedError, damaged
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
    kept, exif = [], b""
    place = _HEADER
    while place + 8 <= size + 8:
        kind = data[place : place + 4]
        (length,) = struct.unpack_from("<I", data, place + 4)
        end = place + 8 + length + length % 2
        if place + 8 + length > size + 8:
            raise damaged(f"the file ends inside its part {kind!r}")
        if kind == b"VP8X":
            flags = data[place + 8] & ~sum(_METADATA.values())
            kept.append(data[place : place + 8] + bytes([flags]) + data[place + 9 : end])
        elif kind == b"EXIF":
            exif = data[place + 8 : end]
        elif kind not in _METADATA:
            kept.append(data[place:end])
        place = end
    body = b"WEBP" + b"".join(kept)
    alone = b"RIFF" + struct.pack("<I", len(body)) + body
    return Pixels(decoded(WebPImageFile, alone, max_pixels), orientation_of(exif))


READER = Reader("WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _read)
