"""TIFF and BigTIFF: the tags that define the pixels of the first page; all others are removed before decoding."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from PIL.TiffImagePlugin import TiffImageFile

from uqdm.images.changes import Change, profile_changes
from uqdm.images.deflate import check_deflate
from uqdm.images.errors import RefusedError, check_depth, check_size, damaged, not_read, other_colours
from uqdm.images.format import Pixels, Reader, decoded
from uqdm.images.jpeg import checked_jpeg

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 284, 322, 323, 324, 325
_SAMPLE_FORMAT, _JPEG_TABLES, _PROFILE = 339, 347, 34675
# Others: fill order, predictor, colour map, extra samples, YCbCr coefficients, sampling, positioning, reference.
_KEPT = {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 347}
_KEPT |= {529, 530, 531, 532}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_COLOURS = {
    4: "mask", 5: "CMYK", 8: "LAB", 9: "LAB (ICC)", 10: "LAB (ITU)", 32803: "CFA", 32844: "LogL", 32845: "LogLuv",
    34892: "linear raw",
}  # fmt: skip
_FORMATS = {2: "signed integers", 3: "floating-point values", 4: "undefined values", 5: "complex values",
            6: "complex values"}  # fmt: skip
_DEFLATE = (8, 32946)
_FAX = (2, 3, 4, 32771)
_OLD_JPEG, _JPEG, _LZW, _NONE = 6, 7, 5, 1
_MOST_VALUES = 2**24


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    raw: bytes


class _Page:
    """The first folder of tags."""

    def __init__(self, data: bytes) -> None:
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = struct.unpack_from(f"{self.order}H", data, 2)[0] == 43
        self.has_next = False
        """Whether a further page follows."""
        self.profile = b""
        """Its ICC profile; empty if there is none that lies in the file."""
        self.entries = dict(self._entries(data))

    def _entries(self, data: bytes) -> Any:
        order, word = self.order, "Q" if self.big else "I"
        size = struct.calcsize(word)
        (start,) = struct.unpack_from(order + word, data, 8 if self.big else 4)
        (n,) = struct.unpack_from(order + ("Q" if self.big else "H"), data, start)
        place = start + (8 if self.big else 2)
        for _ in range(min(n, 4096)):
            tag, kind, count = struct.unpack_from(f"{order}HH{word}", data, place)
            value = place + 4 + size
            place = value + size
            if tag == _PROFILE and count > size:
                (start,) = struct.unpack_from(order + word, data, value)
                self.profile = data[start : start + count]
            if tag not in _KEPT and tag != _ORIENTATION:
                continue
            length = _SIZES.get(kind, 0) * count
            if length > size:
                (value,) = struct.unpack_from(order + word, data, value)
            if count > _MOST_VALUES or not length or value + length > len(data):
                if tag == _ORIENTATION:
                    continue
                raise damaged(f"the tag {tag} lies outside of the file")
            yield tag, _Entry(kind, count, data[value : value + length])
        following = data[place : place + size]
        self.has_next = len(following) == size and any(following)

    def values(self, tag: int, *default: int) -> tuple[int, ...]:
        """The integers of a tag."""
        entry = self.entries.get(tag)
        if entry is None:
            return default
        if entry.kind not in _CODES:
            raise damaged(f"the tag {tag} is no whole number")
        return struct.unpack(f"{self.order}{entry.count}{_CODES[entry.kind]}", entry.raw)

    def value(self, tag: int, default: int) -> int:
        """The first number of a tag."""
        return self.values(tag, default)[0]


def _read(data: bytes, max_pixels: int) -> Pixels:
    page = _Page(data)
    width, height = page.value(_WIDTH, 0), page.value(_HEIGHT, 0)
    check_size(width, height, max_pixels)
    _check_samples(page)
    _check_parts(page, data, max_pixels)
    orientation = 1
    if _ORIENTATION in page.entries and page.entries[_ORIENTATION].kind == 3:
        orientation = page.value(_ORIENTATION, 1)
    pixels = decoded(TiffImageFile, _alone(page, data), max_pixels)
    if pixels.rgb_uint8.shape[:2] != (height, width):
        raise damaged("its decoder gave another size")
    changes = profile_changes(page.profile) + (Change.FIRST,) * page.has_next
    return pixels.and_(*changes, orientation=orientation if 1 <= orientation <= 8 else 1)


def _check_samples(page: _Page) -> None:
    formats = set(page.values(_SAMPLE_FORMAT, 1)) - {1}
    bits = max(page.values(_BITS, 1))
    if formats:
        kind = _FORMATS.get(min(formats), "values of an unknown kind")
        raise not_read(f"a TIFF file of {kind} ({bits} bits)")
    check_depth(bits)
    photometric = page.value(_PHOTOMETRIC, -1)
    if photometric not in (0, 1, 2, 3, 6):
        raise other_colours(_COLOURS.get(photometric, f"number {photometric} of TIFF"))
    compression = page.value(_COMPRESSION, _NONE)
    if compression in _FAX or compression == _OLD_JPEG:
        kind = "old-style JPEG" if compression == _OLD_JPEG else "fax (CCITT)"
        raise not_read(f"a TIFF file with {kind} compression, of which damage cannot be detected")


def _check_parts(page: _Page, data: bytes, max_pixels: int) -> None:
    """Checks that all strips or tiles are inside the file, and complete as far as their compression can show."""
    tiled = _TILE_OFFSETS in page.entries
    offsets = page.values(_TILE_OFFSETS if tiled else _STRIP_OFFSETS)
    lengths = page.values(_TILE_BYTES if tiled else _STRIP_BYTES)
    expected = _n_parts(page, tiled)
    if len(offsets) < expected:
        raise damaged(f"{len(offsets)} of {expected} strips or tiles")
    compression = page.value(_COMPRESSION, _NONE)
    if not lengths and compression == _NONE and not tiled and len(offsets) == 1:
        lengths = (_row_bytes(page, page.value(_WIDTH, 0)) * page.value(_HEIGHT, 0),)
    if len(lengths) < expected:
        raise damaged("the lengths of its strips or tiles are missing")
    tables = page.entries[_JPEG_TABLES].raw if _JPEG_TABLES in page.entries else b""
    for number, (offset, length) in enumerate(zip(offsets[:expected], lengths, strict=False)):
        if offset + length > len(data):
            raise damaged(f"strip or tile {number + 1} of {expected} lies outside of the file")
        part = data[offset : offset + length]
        if compression == _NONE and length < _part_bytes(page, tiled, number):
            raise damaged(f"strip or tile {number + 1} of {expected} is too short")
        if compression in _DEFLATE:
            check_deflate([part], _part_bytes(page, tiled, number))
        if compression == _LZW:
            from uqdm.images.lzw import check_lzw  # compiled: needs Numba, which few files do

            check_lzw(part, _part_bytes(page, tiled, number))
        if compression == _JPEG:
            checked_jpeg(part, max_pixels, tables)


def _planes(page: _Page) -> int:
    return page.value(_SAMPLES, 1) if page.value(_PLANAR, 1) == 2 else 1


def _n_parts(page: _Page, tiled: bool) -> int:
    width, height = page.value(_WIDTH, 0), page.value(_HEIGHT, 0)
    if tiled:
        across, down = page.value(_TILE_WIDTH, 0), page.value(_TILE_HEIGHT, 0)
        if across < 1 or down < 1:
            raise damaged("its tiles have no size")
        return -(-width // across) * -(-height // down) * _planes(page)
    return -(-height // min(height, max(1, page.value(_ROWS, height)))) * _planes(page)


def _row_bytes(page: _Page, width: int) -> int:
    samples = 1 if _planes(page) > 1 else page.value(_SAMPLES, 1)
    return -(-width * samples * max(page.values(_BITS, 1)) // 8)


def _part_bytes(page: _Page, tiled: bool, number: int) -> int:
    """Bytes of a decompressed strip or tile; 0 if the chroma is subsampled."""
    if page.value(_PHOTOMETRIC, 0) == 6:
        return 0
    if tiled:
        return _row_bytes(page, page.value(_TILE_WIDTH, 0)) * page.value(_TILE_HEIGHT, 0)
    height = page.value(_HEIGHT, 0)
    rows = min(height, max(1, page.value(_ROWS, height)))
    n = -(-height // rows)
    last = number % n == n - 1
    return _row_bytes(page, page.value(_WIDTH, 0)) * (height - rows * (n - 1) if last else rows)


def _alone(page: _Page, data: bytes) -> bytearray:
    """The file as a classic TIFF with one folder at its end, of the tags that define the pixels.

    Pillow cannot read a BigTIFF in big-endian order; no supported file needs its long offsets.
    """
    order = page.order
    file = bytearray(data)
    fields = []
    for tag, entry in sorted((tag, entry) for tag, entry in page.entries.items() if tag in _KEPT):
        kind, raw = _classic(order, entry)
        if len(raw) > 4:
            file += bytes(-len(file) % 4)
            place = len(file)
            file += raw
            raw = struct.pack(f"{order}I", place)
        fields.append(struct.pack(f"{order}HHI", tag, kind, entry.count) + raw.ljust(4, b"\0"))
    file += bytes(-len(file) % 4)
    struct.pack_into(f"{order}HI", file, 2, 42, len(file))
    file += struct.pack(f"{order}H", len(fields)) + b"".join(fields) + bytes(4)  # no next folder
    return file


def _classic(order: str, entry: _Entry) -> tuple[int, bytes]:
    """Kind and bytes of an entry, with numbers of 64 bits converted to 32."""
    if entry.kind not in (16, 18):
        return entry.kind, entry.raw
    numbers = struct.unpack(f"{order}{entry.count}Q", entry.raw)
    return 4, struct.pack(f"{order}{entry.count}I", *numbers)


_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
READER = Reader("TIFF", lambda head: head.startswith(_SIGNATURES), _read)

__all__ = ["READER", "RefusedError"]
