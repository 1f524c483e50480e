"""BMP: reads all variants with at most 8 bits a channel, without Pillow.

Pillow reads some palettes as grey, and gives a colour to pixels outside the palette.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from uqdm.images.changes import Change, profile_changes
from uqdm.images.errors import check_depth, check_size, damaged, not_read
from uqdm.images.format import Pixels, Reader, has_alpha, on_white, scaled

_CORE_HEADER = 12
_HEADERS = (_CORE_HEADER, 40, 52, 56, 64, 108, 124)
_NO_COMPRESSION = 0
_RUN_LENGTH = {1: 8, 2: 4}  # and the bits of a pixel
_WITH_ALPHA = 6
_HALVES = [bytes(divmod(byte, 16)) for byte in range(256)]
_FIELDS = (3, _WITH_ALPHA)
_KINDS = {4: "JPEG", 5: "PNG", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_MASKS = {
    16: (0x7C00, 0x3E0, 0x1F, 0),
    24: (0, 0, 0, 0),
    32: (0xFF0000, 0xFF00, 0xFF, 0),
}  # without masks in the header


@dataclass(frozen=True)
class _Header:
    length: int
    width: int
    rows: int
    """Negative if the first row is the top one."""
    bits: int
    compression: int
    colours: int
    """Number of colours in the palette."""

    @property
    def height(self) -> int:
        return abs(self.rows)


def _read(data: bytes, max_pixels: int) -> Pixels:
    header = _header(data)
    return _pixels(data, header, max_pixels).and_(*profile_changes(_profile(data, header)))


def _profile(data: bytes, header: _Header) -> bytes:
    """The ICC profile that is embedded in a file with the header of 124 bytes; empty if there is none."""
    if header.length < _HEADERS[-1] or data[70:74] != b"DEBM":
        return b""
    start, length = struct.unpack_from("<II", data, 126)
    return data[14 + start : 14 + start + length]


def _pixels(data: bytes, header: _Header, max_pixels: int) -> Pixels:
    check_size(header.width, header.height, max_pixels)
    if header.compression in _KINDS:
        raise not_read(f"a BMP file with a {_KINDS[header.compression]} picture inside")
    if header.bits in _MASKS and header.compression in (_NO_COMPRESSION, *_FIELDS):
        return _coloured(data, header)
    if header.bits in (1, 2, 4, 8) and header.compression == _NO_COMPRESSION:
        return Pixels(_looked_up(_indices(data, header), data, header))
    if _RUN_LENGTH.get(header.compression) == header.bits:
        return Pixels(_looked_up(_runs(data, header), data, header))
    raise damaged(f"a BMP file of {header.bits} bits a pixel with compression {header.compression}")


def _header(data: bytes) -> _Header:
    if len(data) < (26 if data[14:15] == bytes([_CORE_HEADER]) else 34):
        raise damaged("its header is too short")
    (length,) = struct.unpack_from("<I", data, 14)
    if length not in _HEADERS:
        raise damaged(f"a header of {length} bytes, which BMP does not define")
    if length == _CORE_HEADER:
        width, rows, _, bits = struct.unpack_from("<HHHH", data, 18)
        return _Header(length, width, rows, bits, 0, 1 << min(bits, 8))
    width, rows, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    colours = int.from_bytes(data[46:50], "little")
    return _Header(length, width, rows, bits, compression, colours or 1 << min(bits, 8))


def _in_order(rows: np.ndarray, header: _Header) -> np.ndarray:
    """The rows in the file, reordered to begin with the top one."""
    return rows[::-1] if header.rows > 0 else rows


def _stored_rows(data: bytes, header: _Header, place: int) -> np.ndarray:
    """The bytes of the pixels, uint8 [height, bytes of a row]; rows are padded to a multiple of four."""
    n = -(-header.width * header.bits // 8)
    stride = -(-n // 4) * 4
    if place + stride * (header.height - 1) + n > len(data):
        raise damaged("the file ends before its last row")
    padded = data[place : place + stride * header.height].ljust(stride * header.height, b"\0")
    return np.frombuffer(padded, np.uint8).reshape(header.height, stride)[:, :n]


# ---- 16, 24 and 32 bits a pixel -------------------------------------------------------------------------------


def _coloured(data: bytes, header: _Header) -> Pixels:
    has_fields = header.compression in _FIELDS
    masks = _masks(data, header.length, header.compression) if has_fields else _MASKS[header.bits]
    check_depth(max(mask.bit_count() for mask in masks))
    (place,) = struct.unpack_from("<I", data, 10)
    result = np.empty((header.height, header.width, 3), np.uint8)
    is_seen_through = False
    for row, line in enumerate(_in_order(_stored_rows(data, header, place), header)):
        if header.bits == 24:
            result[row] = line.reshape(header.width, 3)[:, ::-1]
            continue
        words = np.ascontiguousarray(line).view(f"<u{header.bits // 8}")
        channels = np.stack([_channel(words, mask) for mask in masks], axis=-1)
        result[row] = on_white(channels) if masks[3] else channels[:, :3]
        is_seen_through |= bool(masks[3]) and has_alpha(channels)
    is_rounded = any(255 % ((1 << mask.bit_count()) - 1) for mask in masks if mask)
    return Pixels(result).and_(*[Change.ALPHA] * is_seen_through, *[Change.DEPTH] * is_rounded)


def _masks(data: bytes, header: int, compression: int) -> tuple[int, int, int, int]:
    """Masks of red, green, blue and alpha; that of alpha is 0 if the header has none."""
    red, green, blue, alpha = struct.unpack_from("<IIII", data, 54)
    return red, green, blue, alpha if header >= 56 or compression == _WITH_ALPHA else 0


def _channel(words: np.ndarray, mask: int) -> np.ndarray:
    if not mask:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    if (mask >> shift) & ((mask >> shift) + 1):
        raise damaged(f"a colour mask {mask:#x} with gaps")
    return scaled((words.astype(np.uint32) & np.uint32(mask)) >> np.uint32(shift), mask >> shift)


# ---- 1 to 8 bits a pixel, with a palette ----------------------------------------------------------------------


def _looked_up(indices: np.ndarray, data: bytes, header: _Header) -> np.ndarray:
    start = 14 + header.length
    n = 3 if header.length == _CORE_HEADER else 4
    colours = min(header.colours, 256, (len(data) - start) // n, max(0, _place(data, header) - start) // n)
    if indices.max() >= colours:
        raise damaged(f"a pixel has a colour that is not among the {colours} of the palette")
    palette = np.frombuffer(data, np.uint8, n * colours, start).reshape(colours, n)
    ordered = _in_order(indices, header)
    result = np.empty((header.height, header.width, 3), np.uint8)
    for row, line in enumerate(ordered):
        result[row] = palette[line, 2::-1]
    return result


def _place(data: bytes, header: _Header) -> int:
    """Start of the pixels; some writers omit the palette in this field."""
    (place,) = struct.unpack_from("<I", data, 10)
    start = 14 + header.length
    return start + 4 * min(header.colours, 256) if place == start and header.length != _CORE_HEADER else int(place)


def _indices(data: bytes, header: _Header) -> np.ndarray:
    rows = _stored_rows(data, header, _place(data, header))
    if header.bits == 8:
        return rows
    result = np.empty((header.height, header.width), np.uint8)
    per_byte = 8 // header.bits
    shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
    for row, line in enumerate(rows):
        pixels = (line[:, None] >> shifts) & ((1 << header.bits) - 1)
        result[row] = pixels.reshape(per_byte * line.size)[: header.width]
    return result


def _runs(data: bytes, header: _Header) -> np.ndarray:
    """Colours, uint8 [height, width], of run-length codes; 0 in skipped pixels, as in Windows."""
    result = bytearray(header.height * header.width)
    place = _place(data, header)
    column, row = 0, 0
    while place + 2 <= len(data):
        count, value = data[place], data[place + 1]
        place += 2
        if count == 0 and value == 1:
            if row < header.height - 1 or (row == header.height - 1 and column < header.width):
                raise damaged(f"its pixels end in row {row + 1} of {header.height}")
            return np.frombuffer(result, np.uint8).reshape(header.height, header.width)
        if count == 0 and value == 0:
            column, row = 0, row + 1
        elif count == 0 and value == 2:
            if place + 2 > len(data):
                break
            column, row = column + data[place], row + data[place + 1]
            place += 2
        else:
            pixels = _run(data, place, count, value, header.bits)
            if row >= header.height or column + len(pixels) > header.width:
                raise damaged("a run of pixels goes beyond the picture")
            start = row * header.width + column
            result[start : start + len(pixels)] = pixels
            column += len(pixels)
            if count == 0:
                place += -(-value * header.bits // 16) * 2
        if column > header.width or row > header.height:
            raise damaged("a run of pixels goes beyond the picture")
    raise damaged("the file ends before the end mark of its pixels")


def _run(data: bytes, place: int, count: int, value: int, bits: int) -> bytes:
    """The colours of a run (one or, under 4 bits, two in turn), or of ``value`` pixels that are written singly."""
    n = count or value
    n_bytes = -(-n * bits // 8)
    raw = bytes([value]) * n_bytes if count else data[place : place + n_bytes]
    if len(raw) < n_bytes:
        raise damaged("the file ends before the end mark of its pixels")
    return raw if bits == 8 else b"".join([_HALVES[byte] for byte in raw])[:n]


READER = Reader("BMP", lambda head: head.startswith(b"BM"), _read)
