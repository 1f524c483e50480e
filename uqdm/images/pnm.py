"""PBM, PGM, PPM and PAM: values of 0 to the greatest of the header are scaled to 0 to 255."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uqdm.images.changes import Change, depth_changes
from uqdm.images.errors import check_depth, check_size, damaged, not_read, other_colours
from uqdm.images.format import Pixels, Reader, has_alpha, on_white, scaled
from uqdm.text import one_line

_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*(\d+)")
_COMMENT = re.compile(rb"#[^\r\n]*")
_LONGEST_NUMBER = 9
_AT_ONCE = 2**16
_FLOATS = (b"PF", b"Pf", b"PF4", b"Ph", b"PH")
_PLAIN = (b"P1", b"P2", b"P3")
_CHANNELS = {b"P1": 1, b"P2": 1, b"P3": 3, b"P4": 1, b"P5": 1, b"P6": 3}
_TUPLES = {
    "": (1, 2, 3, 4),
    **dict.fromkeys(("BLACKANDWHITE", "GRAYSCALE"), (1,)),
    **dict.fromkeys(("BLACKANDWHITE_ALPHA", "GRAYSCALE_ALPHA"), (2,)),
    "RGB": (3,),
    "RGB_ALPHA": (4,),
}
"""Allowed numbers of channels by the tuple type of a PAM file."""


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    channels: int
    maximum: int
    start: int
    """Start of the pixels."""

    @property
    def values(self) -> int:
        """Number of values, of all channels."""
        return self.width * self.height * self.channels


def _read(data: bytes, max_pixels: int) -> Pixels:
    magic = data[:2]
    if magic in _FLOATS:
        raise not_read("a PFM file of floating-point values")
    header = _pam_header(data) if magic == b"P7" else _header(data, magic)
    check_size(header.width, header.height, max_pixels)
    if not 1 <= header.maximum <= 65535:
        raise damaged(f"its header says that the greatest value is {header.maximum}")
    check_depth(header.maximum.bit_length())
    if magic in _PLAIN:
        return _spread(_plain(data, header, magic), header)
    if magic == b"P4":
        return Pixels(_bitmap(data, header))
    return _spread(_taken(data, header.start, header.values), header)


def _header(data: bytes, magic: bytes) -> _Header:
    place = 2
    numbers = []
    for _ in range(2 if magic in (b"P1", b"P4") else 3):
        found = _NUMBER.match(data, place)
        if found is None or len(found[1]) > _LONGEST_NUMBER:
            raise damaged("its header is not one of PBM, PGM or PPM")
        numbers.append(int(found[1]))
        place = found.end()
    width, height, maximum = (*numbers, 1)[:3]
    return _Header(width, height, _CHANNELS[magic], maximum, place + 1)


def _pam_header(data: bytes) -> _Header:
    end = data.find(b"ENDHDR\n")
    lines = data[: max(0, end)].decode("ascii", "replace").splitlines()[1:]
    pairs = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    fields = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
    kind = fields.get("TUPLTYPE", "")
    numbers = [fields.get(name, "") for name in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL")]
    if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in numbers):
        raise damaged("its header is not one of PAM")
    width, height, channels, maximum = map(int, numbers)
    if channels not in _TUPLES.get(kind, ()):
        raise other_colours(f"{one_line(kind, 40) or 'unknown'} of {channels} channels")
    return _Header(width, height, channels, maximum, end + len(b"ENDHDR\n"))


def _bitmap(data: bytes, header: _Header) -> np.ndarray:
    stride = -(-header.width // 8)
    rows = _taken(data, header.start, header.height * stride).reshape(header.height, stride)
    result = np.empty((header.height, header.width, 3), np.uint8)
    for row in range(header.height):
        result[row] = 255 * (1 - np.unpackbits(rows[row], count=header.width))[:, None]
    return result


def _plain(data: bytes, header: _Header, magic: bytes) -> np.ndarray:
    """Values written as decimal numbers; in a PBM file one digit each, where 1 is black."""
    values = np.empty(header.values, np.uint8)
    n = 0
    for chunk in _chunks(data, header.start - 1):
        text = _COMMENT.sub(b" ", chunk)
        if magic == b"P1":
            found = 1 - (np.frombuffer(b"".join(text.split()), np.uint8) - ord("0"))
        else:
            found = np.array([int(number) for number in text.split()[: header.values - n]], np.int64)
        found = found[: header.values - n]
        if found.size and not 0 <= found.min() <= found.max() <= header.maximum:
            raise damaged(f"values outside of 0 to {header.maximum}")
        values[n : n + found.size] = found
        n += found.size
    if n < header.values:
        raise damaged(f"{n} values, expected {header.values}")
    return values


def _chunks(data: bytes, place: int) -> Iterator[bytes]:
    """The text after the header in pieces of about 64 KiB that end with a line, or otherwise with a blank."""
    while place < len(data):
        end = data.find(b"\n", min(place + _AT_ONCE, len(data)), place + 2 * _AT_ONCE) + 1
        end = end or data.rfind(b" ", place, place + 2 * _AT_ONCE) + 1 or len(data)
        if len(data) - place <= _AT_ONCE:
            end = len(data)
        yield data[place:end]
        place = end


def _spread(raw: np.ndarray, header: _Header) -> Pixels:
    """Values as pixels."""
    values = raw.reshape(header.height, header.width, header.channels)
    result = np.empty((header.height, header.width, 3), np.uint8)
    is_seen_through = False
    for row in range(header.height):
        line = scaled(values[row], header.maximum)
        colour = line[..., :3] if header.channels >= 3 else np.repeat(line[..., :1], 3, axis=-1)
        if header.channels in (2, 4):
            line = np.concatenate([colour, line[..., -1:]], axis=-1)
            is_seen_through |= has_alpha(line)
            colour = on_white(line)
        result[row] = colour
    return Pixels(result).and_(*[Change.ALPHA] * is_seen_through, *depth_changes(header.maximum))


def _taken(data: bytes, start: int, n: int) -> np.ndarray:
    if start + n > len(data):
        raise damaged(f"{max(0, len(data) - start)} bytes of pixels, expected {n}")
    return np.frombuffer(data, np.uint8, n, start)


def _accepts(head: bytes) -> bool:
    return head[:2] in (*_CHANNELS, b"P7", *_FLOATS) and head[2:3] in (b" ", b"\t", b"\n", b"\r", b"#", b"4")


READER = Reader("PNM", _accepts, _read)
