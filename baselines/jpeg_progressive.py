"""Progressive JPEG (ITU-T T.81, spectral selection and successive approximation): a point after each scan."""

from __future__ import annotations

from typing import Any, ClassVar

from baselines._prefixes import PrefixCodec
from baselines.jpeg import JPEG
from uqdm.codec import StreamError

_SOI, _SOS, _EOI = 0xD8, 0xDA, 0xD9
_INSIDE_A_SCAN = {0x00, *range(0xD0, 0xD8)}  # after 0xFF: a stuffed byte, or a restart marker


class JPEGProgressive(JPEG, PrefixCodec):
    """JPEG in the ten scans of libjpeg's own script: DC, then AC of luma and chroma in turn, ever more precise.

    The decoder smooths over block borders where it has no AC coefficients yet (libjpeg's and libjpeg-turbo's default).
    Chroma comes late: the first scans show colour in its DC only.
    """

    name = "jpeg-progressive"
    summary = "JPEG by Pillow, progressive: one file, a point after each scan; 4:2:0"
    sweep: ClassVar = ({"quality": 90},)
    part = "scan"

    def save_options(self) -> dict[str, Any]:
        """The options of the sequential codec, with scans."""
        return {**super().save_options(), "progressive": True}

    def cuts(self, stream: bytes) -> list[int]:
        """The ends of the scans; the last includes the end marker."""
        ends = scan_ends(stream)
        return [*ends[:-1], len(stream)]

    def complete(self, prefix: bytes) -> bytes:
        """Appends the end marker to a prefix that has none."""
        scan_ends(prefix)  # at least one
        return prefix if prefix.endswith(bytes([0xFF, _EOI])) else prefix + bytes([0xFF, _EOI])


def scan_ends(stream: bytes) -> list[int]:
    """End of the coded data of each scan, in bytes from the start (T.81, B.1.1 and B.2).

    An incomplete scan ends with the stream. Raises StreamError if there is no scan.
    """
    if not stream.startswith(bytes([0xFF, _SOI])):
        raise StreamError("not a JPEG file")
    position, ends = 2, []
    while position + 4 <= len(stream) and stream[position] == 0xFF and stream[position + 1] != _EOI:
        is_scan = stream[position + 1] == _SOS
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
        if is_scan and position < len(stream):
            position = _next_marker(stream, position)
            ends.append(position)
    if not ends:
        raise StreamError("it holds no scan")
    return ends


def _next_marker(stream: bytes, position: int) -> int:
    """The first marker from ``position`` on that ends a scan; the end of the stream if there is none."""
    while (position := stream.find(b"\xff", position)) >= 0:
        if position + 1 < len(stream) and stream[position + 1] not in _INSIDE_A_SCAN:
            return position
        position += 2
    return len(stream)
