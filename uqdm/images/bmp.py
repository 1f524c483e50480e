"""BMP: Pillow reads those of 1, 4, 8, 24 and 32 bits a pixel; those of 16, and their masks, are read here."""

from __future__ import annotations

import struct

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile

from uqdm.images.errors import check_depth, check_size, damaged, not_read
from uqdm.images.format import Pixels, Reader, decoded, on_white, scaled

_CORE_HEADER = 12
_FIELDS = (3, 6)  # BI_BITFIELDS, BI_ALPHABITFIELDS
_KINDS = {4: "JPEG", 5: "PNG", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_555 = (0x7C00, 0x3E0, 0x1F, 0)


def _read(data: bytes, max_pixels: int) -> Pixels:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == _CORE_HEADER:
        width, height, bits, compression = *struct.unpack_from("<HH", data, 18), 24, 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    check_size(width, abs(height), max_pixels)
    if compression in _KINDS:
        raise not_read(f"a BMP file with a {_KINDS[compression]} picture inside")
    masks = _masks(data, header) if compression in _FIELDS else _555
    if compression in _FIELDS:
        check_depth(max(mask.bit_count() for mask in masks))
    if bits == 16 and header != _CORE_HEADER:
        return Pixels(_words(data, width, height, masks))
    return Pixels(decoded(BmpImageFile, data, max_pixels))


def _masks(data: bytes, header: int) -> tuple[int, int, int, int]:
    """Masks of red, green, blue and alpha; that of alpha is 0 where the header has none."""
    red, green, blue, alpha = struct.unpack_from("<IIII", data, 54)
    return red, green, blue, alpha if header >= 56 else 0


def _words(data: bytes, width: int, height: int, masks: tuple[int, int, int, int]) -> np.ndarray:
    (offset,) = struct.unpack_from("<I", data, 10)
    stride = (2 * width + 3) // 4 * 2
    if offset + 2 * stride * abs(height) > len(data):
        raise damaged("the file ends before its last row")
    words = np.frombuffer(data, "<u2", stride * abs(height), offset).reshape(abs(height), stride)[:, :width]
    ordered = words[::-1] if height > 0 else words
    result = np.empty((abs(height), width, 3), np.uint8)
    for row, line in enumerate(ordered):
        channels = [_channel(line, mask) for mask in masks]
        colour = np.stack(channels[:3], axis=-1)
        result[row] = on_white(np.stack(channels, axis=-1)) if masks[3] else colour
    return result


def _channel(words: np.ndarray, mask: int) -> np.ndarray:
    if not mask:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    if (mask >> shift) & ((mask >> shift) + 1):
        raise damaged(f"a colour mask {mask:#x} with gaps")
    return scaled((words & np.uint16(mask & 0xFFFF)) >> shift, mask >> shift)


READER = Reader("BMP", lambda head: head.startswith(b"BM"), _read)
