"""JPEG 2000 as one stream with all quality layers: a point after each of them."""

from __future__ import annotations

from typing import Any, ClassVar

from uqdm.codec import StreamError
from uqdm_baselines._jpeg2000_packets import layer_ends, read_header
from uqdm_baselines._prefixes import PrefixCodec
from uqdm_baselines.jpeg2000 import JPEG2000, LAYERS, TRANSFORM

_EOC = b"\xff\xd9"


class JPEG2000Progressive(PrefixCodec, JPEG2000):
    """The six layers of the published points in one .jp2 file, ordered by layer, each a true prefix of the file.

    The ends of the layers are read from the packet headers; the file has no index for them. OpenJPEG refuses a cut
    file, so the decoder first completes a prefix: it adjusts the number of layers and the lengths and appends the end
    marker. The tile is that of a whole picture, which limits its sides to 32768 pixels.
    """

    name = "jpeg2000-progressive"
    summary = "JPEG 2000 by Pillow and OpenJPEG: one file, a point after each of six quality layers"
    parameters = (TRANSFORM,)
    sweep: ClassVar = ({"transform": "none-5/3"}, {"transform": "ict-9/7"})
    max_side = 1 << 15
    part = "layer"

    @property
    def layers(self) -> str:
        """All six ratios, from 20 to 1."""
        return LAYERS[-1]

    def cuts(self, stream: bytes) -> list[int]:
        """The ends of the layers; the last includes the end marker."""
        header = read_header(stream)
        ends = layer_ends(stream, header)
        if len(ends) < header.layers:
            raise StreamError(f"it holds {len(ends)} of {header.layers} layers")
        return [*ends[:-1], len(stream)]

    def complete(self, prefix: bytes) -> bytes:
        """The complete layers of a prefix, as a file with that number of layers."""
        header = read_header(prefix)
        ends = layer_ends(prefix, header)
        if not ends:
            raise StreamError("it holds no whole layer")
        whole = bytearray(prefix[: ends[-1]])
        _set(whole, header.layers_at, 2, len(ends))
        _set(whole, header.tile_part_at + 6, 4, len(whole) - header.tile_part_at)  # Psot
        if header.codestream:
            _set(whole, header.codestream - 8, 4, 0)  # the box jp2c: up to the end of the file
        return bytes(whole) + _EOC


def _set(data: bytearray, position: int, size: int, value: Any) -> None:
    data[position : position + size] = value.to_bytes(size, "big")
