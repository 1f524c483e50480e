"""BMP: Pillow reads those with a palette, of 24 bits, and of 32 without masks; 16 bits and masks are read here."""

from __future__ import annotations

import struct

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile

from uqdm.images.errors import check_depth, check_size, damaged, not_read
from uqdm.images.format import Pixels, Reader, decoded, on_white, scaled

_CORE_HEADER = 12
_RUN_LENGTH = (1, 2)
_WITH_ALPHA = 6
_FIELDS = (3, _WITH_ALPHA)
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
    masks = _masks(data, header, compression) if compression in _FIELDS else _555
    if compression in _FIELDS:
        check_depth(max(mask.bit_count() for mask in masks))
    if bits in (16, 32) and (bits == 16 or compression in _FIELDS):
        return Pixels(_words(data, width, height, bits, masks))
    if compression in _RUN_LENGTH:
        _check_runs(data, width, abs(height), bits)
    return Pixels(decoded(BmpImageFile, data, max_pixels))


def _masks(data: bytes, header: int, compression: int) -> tuple[int, int, int, int]:
    """Masks of red, green, blue and alpha; that of alpha is 0 where the header has none."""
    red, green, blue, alpha = struct.unpack_from("<IIII", data, 54)
    return red, green, blue, alpha if header >= 56 or compression == _WITH_ALPHA else 0


def _words(data: bytes, width: int, height: int, bits: int, masks: tuple[int, int, int, int]) -> np.ndarray:
    (offset,) = struct.unpack_from("<I", data, 10)
    n_bytes = bits // 8
    stride = -(-n_bytes * width // 4) * 4 // n_bytes
    if offset + n_bytes * stride * abs(height) > len(data):
        raise damaged("the file ends before its last row")
    words = np.frombuffer(data, f"<u{n_bytes}", stride * abs(height), offset).reshape(abs(height), stride)[:, :width]
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
    return scaled((words.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift), mask >> shift)


def _check_runs(data: bytes, width: int, height: int, bits: int) -> None:
    """Walks over run-length codes to their end mark: Pillow fills up what lacks before it."""
    (place,) = struct.unpack_from("<I", data, 10)
    column, row = 0, 0
    while place + 2 <= len(data):
        count, value = data[place], data[place + 1]
        place += 2
        if count == 0 and value == 1:
            return
        if count:
            column += count
        elif value == 0:
            column, row = 0, row + 1
        elif value == 2:
            column, row = column + data[place], row + data[place + 1]
            place += 2
        else:
            column += value
            place += (value * bits // 8 + 1 + (value * bits % 8 > 0)) // 2 * 2
        if column > width or row > height:
            raise damaged("a run of pixels goes beyond the picture")
    raise damaged("the file ends before the end mark of its pixels")


READER = Reader("BMP", lambda head: head.startswith(b"BM"), _read)
