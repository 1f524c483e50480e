"""The segments of a JPEG file (ITU-T T.81, B.1.1 and B.2): markers with parameters, and the coded data of scans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from uqdm.codec import StreamError, StreamParts

SOI, SOS, EOI = 0xD8, 0xDA, 0xD9
_TABLES = {0xC4, 0xCC, 0xDB, 0xDD, SOS}  # DHT, DAC, DQT, DRI: what the coded data are read with
_INSIDE_A_SCAN = {0x00, *range(0xD0, 0xD8)}  # after 0xFF: a stuffed byte, or a restart marker


@dataclass(frozen=True)
class Segment:
    """A marker with its parameters, from ``begin`` to ``data_begin``, and the coded data after it, if it is a scan."""

    marker: int
    begin: int
    data_begin: int
    end: int


def segments(stream: bytes) -> Iterator[Segment]:
    """The segments of a file, or of a prefix, up to the end marker; raises StreamError for another file.

    An incomplete scan ends with the stream.
    """
    if not stream.startswith(bytes([0xFF, SOI])):
        raise StreamError("not a JPEG file")
    position = 2
    while position + 4 <= len(stream) and stream[position] == 0xFF and stream[position + 1] != EOI:
        marker = stream[position + 1]
        data_begin = position + 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
        is_scan = marker == SOS and data_begin < len(stream)
        end = _next_marker(stream, data_begin) if is_scan else data_begin
        yield Segment(marker, position, data_begin, end)
        position = end


def _next_marker(stream: bytes, position: int) -> int:
    """The first marker from ``position`` on that ends a scan; the end of the stream if there is none."""
    while (position := stream.find(b"\xff", position)) >= 0:
        if position + 1 < len(stream) and stream[position + 1] not in _INSIDE_A_SCAN:
            return position
        position += 2
    return len(stream)


def parts_of(stream: bytes) -> StreamParts:
    """The coded data of scans; tables and headers of scans; and the rest of a file or prefix."""
    payload_bytes = side_bytes = 0
    for segment in segments(stream):
        payload_bytes += segment.end - segment.data_begin
        side_bytes += segment.data_begin - segment.begin if segment.marker in _TABLES else 0
    return StreamParts(payload_bytes, side_bytes, len(stream) - payload_bytes - side_bytes)
