"""JPEG: parses marker segments, checks every scan, and removes metadata before decoding.

libjpeg continues after damage with a warning, which Pillow drops. So simplejpeg decodes the file too, and makes each
warning an error: invalid codes, data that end too early or too late, lost restart markers. Missing scans give no
warning; they are found from the headers of the others.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np
import simplejpeg
from PIL.JpegImagePlugin import JpegImageFile

from uqdm.images.changes import profile_changes
from uqdm.images.errors import RefusedError, check_depth, check_size, damaged, not_read, other_colours
from uqdm.images.exif import orientation_of
from uqdm.images.format import Pixels, Reader, decoded

SOI = b"\xff\xd8"
EOI = b"\xff\xd9"
_DHT = 0xC4
_DQT = 0xDB
_DRI = 0xDD
_SOS = 0xDA
_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_OTHER_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical JPEG",
    0xC9: "a JPEG with arithmetic coding",
    0xCA: "a JPEG with arithmetic coding",
    0xCB: "a lossless JPEG",
    0xCD: "a hierarchical JPEG",
    0xCE: "a hierarchical JPEG",
    0xCF: "a hierarchical JPEG",
    0xF7: "a JPEG-LS",
}
_MARKER = re.compile(rb"\xff+([\x01-\xfe])")
_RESTARTS = range(0xD0, 0xD8)
_NEEDED = {*_FRAMES, _DHT, _DQT, _DRI}


@dataclass
class _Frame:
    width: int
    height: int
    progressive: bool
    precision: dict[int, np.ndarray]
    """For each component, by its number: the missing bits of its 64 coefficients, -1 before the first scan."""


@dataclass
class _Scan:
    """A scan's header: its components, its coefficients, and their bits."""

    components: list[int]
    first: int = 0
    last: int = 63
    high: int = 0
    low: int = 0


@dataclass
class Checked:
    """A complete JPEG file."""

    data: bytes
    """The same picture without metadata."""
    width: int
    height: int
    components: int
    orientation: int
    profile: bytes = b""
    """Its ICC profile; empty if there is none."""


@dataclass
class _State:
    frame: _Frame | None = None
    orientation: int = 1
    profile: bytes = b""
    kept: list[memoryview | bytes] = field(default_factory=lambda: [SOI])


def checked_jpeg(data: bytes, max_pixels: int, tables: bytes = b"") -> Checked:
    """Checks a JPEG file up to its end marker; later bytes (previews, videos) are ignored.

    ``tables`` are those that a TIFF file keeps for all of its JPEG parts. Raises :class:`RefusedError`.
    """
    state = _State()
    if tables:
        _segments(tables, state, max_pixels)
    end = _segments(data, state, max_pixels)
    frame = state.frame
    if frame is None or not end:
        raise damaged("it has no picture")
    if any((precision != 0).any() for precision in frame.precision.values()):
        raise damaged("coefficients are missing: scans were lost")
    kept = b"".join([*state.kept, EOI])
    _check_data(kept)
    return Checked(kept, frame.width, frame.height, len(frame.precision), state.orientation, state.profile)


def _check_data(data: bytes) -> None:
    """Raises RefusedError if libjpeg warns."""
    try:
        simplejpeg.decode_jpeg(data, "GRAY", strict=True)  # grey takes the least memory; all components are read
    except ValueError as error:
        if "subsampling" in str(error):
            raise not_read("a JPEG with an unusual sampling of its chroma") from error
        raise damaged(str(error).removeprefix("Corrupt JPEG data: ")) from error


def _segments(data: bytes, state: _State, max_pixels: int) -> int:
    """Reads marker segments from SOI to EOI; returns the end of EOI."""
    if not data.startswith(SOI):
        raise damaged("it does not begin with the marker SOI")
    view = memoryview(data)
    place = len(SOI)
    while True:
        marker, place = _marker_at(data, place)
        if marker == EOI[1]:
            return place
        if marker in (0x01, SOI[1]) or marker in _RESTARTS:
            raise damaged(f"a marker {marker:#x} out of place at byte {place - 2}")
        end = place + int.from_bytes(data[place : place + 2], "big")
        if end < place + 2 or end > len(data):
            raise damaged(f"the file ends inside a segment (marker {marker:#x} at byte {place - 2})")
        body = view[place + 2 : end]
        _segment(marker, body, state, max_pixels)
        if marker in _NEEDED or marker == _SOS or _tells_colour(marker, body):
            state.kept.append(view[place - 2 : end])
        place = end
        if marker == _SOS:
            place = _scan(data, end, body, state)
            state.kept.append(view[end:place])


def _marker_at(data: bytes, place: int) -> tuple[int, int]:
    found = _MARKER.match(data, place)
    if found is None:
        missing = "the end marker EOI is missing" if place >= len(data) else f"no marker at byte {place}"
        raise damaged(missing)
    return found[1][0], found.end()


def _tells_colour(marker: int, body: memoryview) -> bool:
    """Whether a segment is the JFIF or the Adobe one, which define the meaning of the components."""
    is_jfif = marker == 0xE0 and bytes(body[:5]) == b"JFIF\0" and len(body) >= 14
    return is_jfif or (marker == 0xEE and bytes(body[:5]) == b"Adobe" and len(body) >= 12)


def _segment(marker: int, body: memoryview, state: _State, max_pixels: int) -> None:
    if marker in _FRAMES:
        if state.frame is not None:
            raise damaged("it has two frame headers")
        state.frame = _frame(marker, body, max_pixels)
    elif marker in _OTHER_FRAMES:
        raise not_read(_OTHER_FRAMES[marker])
    elif marker == 0xE1 and bytes(body[:6]) == b"Exif\0\0" and state.orientation == 1:
        state.orientation = orientation_of(bytes(body))
    elif marker == 0xE2 and bytes(body[:12]) == b"ICC_PROFILE\0":
        state.profile += bytes(body[14:])


def _frame(marker: int, body: memoryview, max_pixels: int) -> _Frame:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise damaged("its frame header is too short")
    precision, height, width, n_components = struct.unpack_from(">BHHB", body)
    check_depth(precision)
    check_size(width, height, max_pixels)
    if precision != 8:
        raise not_read(f"a JPEG of {precision} bits a channel")
    if n_components == 4:
        raise other_colours("CMYK")
    if n_components not in (1, 3):
        raise other_colours(f"of {n_components} components")
    numbers = [body[6 + 3 * i] for i in range(n_components)]
    if len(set(numbers)) < n_components:
        raise damaged("two components have one number")
    return _Frame(width, height, marker == 0xC2, {number: np.full(64, -1) for number in numbers})


def _scan(data: bytes, start: int, header: memoryview, state: _State) -> int:
    """Records the coefficients of one scan; returns the end of its data."""
    if state.frame is None:
        raise damaged("a scan before the frame header")
    _progress(_scan_header(header, state.frame), state.frame)
    for found in _MARKER.finditer(data, start):
        if found[1][0] not in _RESTARTS:
            return found.start()
    raise damaged("the end marker EOI is missing")


def _scan_header(body: memoryview, frame: _Frame) -> _Scan:
    n = body[0] if body else 0
    if not 1 <= n <= len(frame.precision) or len(body) < 4 + 2 * n:
        raise damaged("a scan header is wrong")
    chosen = [body[1 + 2 * i] for i in range(n)]
    if not frame.precision.keys() >= set(chosen) or len(set(chosen)) < n:
        raise damaged("a scan header names a component that is not there")
    if not frame.progressive:  # some writers put other numbers there, and every decoder ignores them
        return _Scan(chosen)
    first, last, shifts = body[1 + 2 * n], body[2 + 2 * n], body[3 + 2 * n]
    if first > last or last > 63:
        raise damaged("a progressive scan's header is wrong")
    return _Scan(chosen, first, last, shifts >> 4, shifts & 15)


def _progress(scan: _Scan, frame: _Frame) -> None:
    """Records the coefficients of a scan; each bit must come once, after those above it."""
    for number in scan.components:
        precision = frame.precision[number][scan.first : scan.last + 1]
        expected = scan.high if scan.high else -1
        if (precision != expected).any() or (scan.high and scan.low != scan.high - 1):
            raise damaged("its scans do not follow each other: one is lost, or comes twice")
        precision[:] = scan.low


def _read(data: bytes, max_pixels: int) -> Pixels:
    found = checked_jpeg(data, max_pixels)
    pixels = decoded(JpegImageFile, found.data, max_pixels)
    return pixels.and_(*profile_changes(found.profile), orientation=found.orientation)


READER = Reader("JPEG", lambda head: head.startswith(SOI + b"\xff"), _read)

__all__ = ["READER", "Checked", "RefusedError", "checked_jpeg"]
