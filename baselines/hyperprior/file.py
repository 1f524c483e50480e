"""The file: a header, and one stream of all symbols with a check value.

====================  =====================================================================================
bytes                 content
====================  =====================================================================================
2                     ``HP``
1                     version of the format, 1
3                     the first bytes of the model's SHA-256: transforms, tables and medians
1 to 4 each           height, width: seven bits a byte, least significant first, the highest bit: more follow
the rest              stream of :mod:`uqdm.coding.ans`: side information, offsets of the deviations and means,
                      latents; its check value is the CRC-32 of all symbols
====================  =====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.codec import StreamError

MAGIC = b"HP"
VERSION = 1
MODEL_ID_BYTES = 3
MAX_PIXELS = 1 << 24
"""Largest image: the transforms hold all of it in memory, some 3 kB a pixel at 192 channels."""
_MAX_NUMBER_BYTES = 4


@dataclass(frozen=True)
class Header:
    """What a file says before its stream."""

    model_id: bytes
    height: int
    width: int

    def pack(self) -> bytes:
        """Its bytes.

        >>> Header(b"abc", 64, 300).pack().hex(" ")
        '48 50 01 61 62 63 40 ac 02'
        """
        return MAGIC + bytes([VERSION]) + self.model_id + _number(self.height) + _number(self.width)


def parse(data: bytes) -> tuple[Header, bytes]:
    """Header and stream of a file; raises :class:`uqdm.codec.StreamError`."""
    if data[: len(MAGIC)] != MAGIC:
        raise StreamError("not a file of this codec: it does not begin with HP")
    start = len(MAGIC) + 1 + MODEL_ID_BYTES
    if len(data) < start:
        raise StreamError("the file ends within its header")
    if data[len(MAGIC)] != VERSION:
        raise StreamError(f"version {data[len(MAGIC)]} of the format; this release reads version {VERSION}")
    height, start_of_width = _read_number(data, start)
    width, end = _read_number(data, start_of_width)
    if not (height and width and height * width <= MAX_PIXELS):
        raise StreamError(f"the header claims {height} x {width} pixels; an image has 1 to {MAX_PIXELS:,}")
    return Header(data[len(MAGIC) + 1 : start], height, width), data[end:]


def _number(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _read_number(data: bytes, start: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[start : start + _MAX_NUMBER_BYTES]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, start + place + 1
    raise StreamError("the file's header has no valid size")
