"""AVIF: the depth of its coded pictures, by the boxes of the file (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile

from uqdm.images.changes import Change, profile_changes
from uqdm.images.errors import RefusedError, check_depth, damaged, not_read
from uqdm.images.exif import orientation_of
from uqdm.images.format import Pixels, Reader, decoded

_AVIF = (b"avif", b"avis", b"mif1", b"miaf", b"msf1")
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs")
_FOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0}  # boxes with boxes inside, after that many bytes
_ITEM_FOLDERS = {b"meta": 4, b"moov": 0, b"trak": 0}  # boxes that lead to the lists of items


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box in a range; raises RefusedError for a cut one."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        last = end if size == 0 else start + size
        if (size and size < head) or last > end:
            raise damaged(f"the file ends inside its part {kind!r}")
        yield kind, start + head, last
        start = last


def _read(data: bytes, max_pixels: int) -> Pixels:
    brands = _brands(data)
    found = [*_properties(data, 0, len(data))]
    kinds = {kind for kind, _ in found}
    if b"av1C" not in kinds:
        raise not_read(f"a {'HEIC' if b'hvcC' in kinds or brands & set(_HEIC) else 'HEIF or video'} file")
    for kind, body in found:
        if kind == b"av1C" and len(body) >= 3:  # AV1 in ISOBMFF, 2.3.3
            check_depth(12 if body[2] & 0x20 else 10 if body[2] & 0x40 else 8)
        if kind == b"pixi" and len(body) >= 5:
            check_depth(max(body[5 : 5 + body[4]], default=8))
    if not features.check("avif"):
        raise RefusedError("this Pillow was built without AVIF; install a Pillow wheel of version 11.3 or later")
    pixels, orientation = _decoded(data, max_pixels)
    return pixels.and_(*_colour_changes(found), orientation=orientation)


def _colour_changes(properties: Iterable[tuple[bytes, bytes]]) -> Iterator[Change]:
    """The change by a profile, or by primaries and transfer that are not those of sRGB or BT.709 (ITU-T H.273)."""
    colours = [body for kind, body in properties if kind == b"colr"]
    profiles = [body[4:] for body in colours if body[:4] in (b"prof", b"rICC")]
    if profiles:
        yield from profile_changes(profiles[0])
        return
    for body in colours[:1]:
        if body[:4] == b"nclx" and len(body) >= 8:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            if primaries not in (1, 2) or transfer not in (1, 2, 6, 13):
                yield Change.PROFILE


def _decoded(data: bytes, max_pixels: int) -> tuple[Pixels, int]:
    seen: list[tuple[int, int]] = []

    def opened(*arguments: object) -> AvifImageFile:
        image = AvifImageFile(*arguments)  # type: ignore[arg-type]
        # Pillow makes this EXIF from irot and imir, which take precedence over EXIF.
        seen.append((orientation_of(image.info.get("exif", b"")), getattr(image, "n_frames", 1)))
        return image

    pixels = decoded(opened, _without_exif(data), max_pixels)
    orientation, frames = seen[0]
    return pixels.and_(*[Change.FIRST] * (frames > 1)), orientation


def _without_exif(data: bytes) -> bytearray:
    """The file with its EXIF items renamed to an unknown kind, since libavif refuses pictures with odd EXIF."""
    file = bytearray(data)
    for place in _item_kinds(data, 0, len(data)):
        if data[place : place + 4] == b"Exif":
            file[place : place + 4] = b"none"
    return file


def _item_kinds(data: bytes, start: int, end: int) -> Iterator[int]:
    """Positions of the kinds of the items (ISO/IEC 14496-12, 8.11.6)."""
    for kind, first, last in boxes(data, start, end):
        if kind in _ITEM_FOLDERS:
            yield from _item_kinds(data, first + _ITEM_FOLDERS[kind], last)
        elif kind == b"iinf" and first < last:
            for entry, begin, limit in boxes(data, first + (6 if data[first] == 0 else 8), last):
                place = begin + (8 if data[begin] == 2 else 10)
                if entry == b"infe" and data[begin] in (2, 3) and place + 4 <= limit:
                    yield place


def _brands(data: bytes) -> set[bytes]:
    size = min(struct.unpack_from(">I", data)[0], len(data))
    return {data[8:12], *(data[place : place + 4] for place in range(16, size - 3, 4))}


def _properties(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    for kind, first, last in boxes(data, start, end):
        if kind in _FOLDERS:
            yield from _properties(data, first + _FOLDERS[kind], last)
        elif kind in (b"av1C", b"pixi", b"hvcC", b"colr"):
            yield kind, data[first:last]


READER = Reader("AVIF", lambda head: head[4:8] == b"ftyp", _read)
