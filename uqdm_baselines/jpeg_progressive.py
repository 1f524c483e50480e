"""Progressive JPEG (ITU-T T.81, spectral selection and successive approximation): a point after each scan."""

from __future__ import annotations

from typing import Any, ClassVar

from uqdm.codec import StreamError
from uqdm_baselines._jpeg_segments import EOI, SOS, segments
from uqdm_baselines._prefixes import PrefixCodec
from uqdm_baselines.jpeg import JPEG


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
        return prefix if prefix.endswith(bytes([0xFF, EOI])) else prefix + bytes([0xFF, EOI])


def scan_ends(stream: bytes) -> list[int]:
    """End of the coded data of each scan, in bytes from the start.

    An incomplete scan ends with the stream. Raises StreamError if there is no scan.
    """
    ends = [one.end for one in segments(stream) if one.marker == SOS and one.data_begin < len(stream)]
    if not ends:
        raise StreamError("it holds no scan")
    return ends
