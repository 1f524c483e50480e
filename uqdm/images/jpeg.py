"""JPEG: marker segments by themselves, every scan checked to its last bit, and metadata left out before decoding.

libjpeg goes on after damage with a warning, which Pillow drops. So the entropy-coded data are read here once more,
without making pixels of them (:mod:`uqdm.images.jpeg_scan`): a code that is none, data that end too early or too
late, and coefficients that never come are errors.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, field

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from uqdm.images.errors import RefusedError, check_depth, check_size, damaged, not_read, other_colours
from uqdm.images.exif import orientation_of
from uqdm.images.format import Pixels, Reader, decoded
from uqdm.images.jpeg_scan import Component, Scan, Tables, check_scan, lookup_table

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
    components: list[Component]
    precision: list[np.ndarray]
    """Of each component: the bits that each of its 64 coefficients still lacks, -1 before its first scan."""


@dataclass
class Checked:
    """A JPEG file that is whole."""

    data: bytes
    """The same picture without metadata."""
    width: int
    height: int
    components: int
    orientation: int


@dataclass
class _State:
    tables: Tables
    frame: _Frame | None = None
    orientation: int = 1
    kept: list[memoryview | bytes] = field(default_factory=lambda: [SOI])


def checked_jpeg(data: bytes, max_pixels: int, tables: bytes = b"") -> Checked:
    """Checks a JPEG file up to its end marker; what follows that (previews, videos) does not count.

    ``tables`` are those that a TIFF file keeps for all of its JPEG parts. Raises :class:`RefusedError`.
    """
    state = _State(Tables())
    if tables:
        _segments(tables, state, max_pixels)
    state.kept = [SOI]
    end = _segments(data, state, max_pixels)
    frame = state.frame
    if frame is None or not end:
        raise damaged("it has no picture")
    for component, precision in enumerate(frame.precision):
        if (precision != 0).any():
            raise damaged(f"coefficients of component {component + 1} are missing: scans were lost")
    state.kept.append(EOI)
    kept = io.BytesIO()
    for part in state.kept:
        kept.write(part)
    return Checked(kept.getvalue(), frame.width, frame.height, len(frame.components), state.orientation)


def _segments(data: bytes, state: _State, max_pixels: int) -> int:
    """Reads marker segments from SOI to EOI; returns where EOI ends."""
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
    """Whether a segment is the JFIF or the Adobe one, which say what the components mean."""
    is_jfif = marker == 0xE0 and bytes(body[:5]) == b"JFIF\0" and len(body) >= 14
    return is_jfif or (marker == 0xEE and bytes(body[:5]) == b"Adobe" and len(body) >= 12)


def _segment(marker: int, body: memoryview, state: _State, max_pixels: int) -> None:
    if marker in _FRAMES:
        if state.frame is not None:
            raise damaged("it has two frame headers")
        state.frame = _frame(marker, body, max_pixels)
    elif marker in _OTHER_FRAMES:
        raise not_read(_OTHER_FRAMES[marker])
    elif marker == _DHT:
        _huffman_tables(body, state.tables)
    elif marker == _DRI:
        if len(body) < 2:
            raise damaged("a segment DRI is too short")
        state.tables.restart_interval = int.from_bytes(body[:2], "big")
    elif marker == 0xE1 and bytes(body[:6]) == b"Exif\0\0" and state.orientation == 1:
        state.orientation = orientation_of(bytes(body))


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
    parts = [bytes(body[6 + 3 * i : 9 + 3 * i]) for i in range(n_components)]
    factors = [(part[1] >> 4, part[1] & 15) for part in parts]
    if any(not 1 <= factor <= 4 for pair in factors for factor in pair):
        raise damaged("a sampling factor in its frame header is wrong")
    most = (max(across for across, _ in factors), max(down for _, down in factors))
    components = [Component(part[0], *pair, *most, width, height) for part, pair in zip(parts, factors, strict=True)]
    if len({component.identity for component in components}) < n_components:
        raise damaged("two components have one number")
    return _Frame(width, height, marker == 0xC2, components, [np.full(64, -1) for _ in components])


def _huffman_tables(body: memoryview, tables: Tables) -> None:
    place = 0
    while place < len(body):
        counts = bytes(body[place + 1 : place + 17])
        symbols = bytes(body[place + 17 : place + 17 + sum(counts)])
        kind, number = body[place] >> 4, body[place] & 15
        if len(counts) < 16 or len(symbols) < sum(counts) or kind > 1 or number > 3:
            raise damaged("a Huffman table is wrong")
        tables.huffman[kind, number] = lookup_table(counts, symbols)
        place += 17 + len(symbols)


def _scan(data: bytes, start: int, header: memoryview, state: _State) -> int:
    """Checks one scan; returns where its data end."""
    if state.frame is None:
        raise damaged("a scan before the frame header")
    scan = _scan_header(header, state.frame)
    end, pieces = _pieces(data, start)
    _progress(scan, state.frame)
    check_scan(scan, state.frame.components, state.tables, state.frame.progressive, pieces)
    return end


def _scan_header(body: memoryview, frame: _Frame) -> Scan:
    n = body[0] if body else 0
    if not 1 <= n <= len(frame.components) or len(body) < 4 + 2 * n:
        raise damaged("a scan header is wrong")
    numbers = {component.identity: number for number, component in enumerate(frame.components)}
    chosen = [numbers.get(body[1 + 2 * i], -1) for i in range(n)]
    if -1 in chosen or len(set(chosen)) < n:
        raise damaged("a scan header names a component that is not there")
    codes = [(body[2 + 2 * i] >> 4, body[2 + 2 * i] & 15) for i in range(n)]
    first, last, shifts = body[1 + 2 * n], body[2 + 2 * n], body[3 + 2 * n]
    if not frame.progressive:  # some writers put other numbers there, and every decoder ignores them
        return Scan(chosen, codes, 0, 63, 0, 0)
    high, low = shifts >> 4, shifts & 15
    is_dc = first == 0
    if last > 63 or first > last or (is_dc and last != 0) or (not is_dc and n > 1) or low > 13:
        raise damaged("a progressive scan's header is wrong")
    return Scan(chosen, codes, first, last, high, low)


def _progress(scan: Scan, frame: _Frame) -> None:
    """Notes which coefficients the scan brings; each bit must come once, after those above it."""
    for number in scan.components:
        precision = frame.precision[number][scan.first : scan.last + 1]
        expected = scan.high if scan.high else -1
        if (precision != expected).any() or (scan.high and scan.low != scan.high - 1):
            raise damaged("its scans do not follow each other: one is lost, or comes twice")
        precision[:] = scan.low


def _pieces(data: bytes, start: int) -> tuple[int, list[bytes]]:
    """The data of a scan between its restart markers, unstuffed, and where they end."""
    pieces = []
    place = start
    for found in _MARKER.finditer(data, start):
        pieces.append(data[place : found.start()].replace(b"\xff\x00", b"\xff"))
        marker = found[1][0]
        if marker not in _RESTARTS:
            return found.start(), pieces
        if marker != 0xD0 + (len(pieces) - 1) % 8:
            raise damaged(f"a restart marker is out of order at byte {found.start()}")
        place = found.end()
    raise damaged("the end marker EOI is missing")


def _read(data: bytes, max_pixels: int) -> Pixels:
    found = checked_jpeg(data, max_pixels)
    return Pixels(decoded(JpegImageFile, found.data, max_pixels), found.orientation)


READER = Reader("JPEG", lambda head: head.startswith(SOI + b"\xff"), _read)

__all__ = ["READER", "Checked", "RefusedError", "checked_jpeg"]
