"""The file, version 2 of the format: a header of 2 bytes or more, and one short stream of :mod:`uqdm.coding.ans`.

====================  =====================================================================================
bytes                 content
====================  =====================================================================================
1                     highest bit: universal quantization. The other seven bits are 8 s + q for a picture of
                      size s in ``SIZES`` and quality q + 1 up to 8, or 112 + flags for what follows
1                     the first byte of the model's SHA-256: networks, prior and tables
with flags: 1         quality - 1
1 to 4 each           height, width: seven bits a byte, least significant first, the highest bit: more follow
4 (flag 2)            seed of the dither; 0 without the flag
the rest              stream: side information, sections of latents; with flag 1 also offsets of the grids
====================  =====================================================================================

The stream's check value of 16 bits is made of header, model, symbols, latents and, where it is exact, the picture.
Besides its information a file of a usual size takes 2 bytes of header, 16 to 17 bits of the check, and less than a byte
to fill the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.codec import StreamError
from uqdm.transform.quantization import ROUNDING, UNIVERSAL

MAX_PIXELS = 1 << 24
"""Largest image: the networks hold all of it in memory, some 3 kB a pixel at 192 channels."""
SIZES = ((32, 32), (64, 64), (96, 96), (128, 128), (192, 192), (256, 256), (512, 512), (512, 768), (768, 512))
"""Heights and widths that take no bytes of their own."""
CHECK_BYTES = 2
MAX_SEED = (1 << 32) - 1
_SHORT_QUALITIES = 8
_VERSION_1 = b"HP\x01"  # 72, its first byte, is past all short forms
_UNIVERSAL = 0x80
_LONG = 0x70
_OFFSETS, _SEED = 1, 2
_LONG_FORMS = 4
_MAX_NUMBER_BYTES = 4
_SEED_BYTES = 4


@dataclass(frozen=True)
class Header:
    """What a file says before its stream.

    ``quality`` counts the levels of the model for this quantization, from 1 on. With ``offsets`` the stream has
    offsets of all grids.
    """

    quantization: str
    model_id: int
    quality: int
    height: int
    width: int
    seed: int = 0
    offsets: bool = False

    def padded(self, stride: int) -> tuple[int, int]:
        """Height and width rounded up to multiples of ``stride``."""
        return -(-self.height // stride) * stride, -(-self.width // stride) * stride

    def pack(self) -> bytes:
        """Its bytes.

        >>> Header(ROUNDING, 0xAB, 4, 64, 64).pack().hex(" "), Header(ROUNDING, 0xAB, 4, 64, 300).pack().hex(" ")
        ('0b ab', '70 ab 03 40 ac 02')
        """
        high = _UNIVERSAL * (self.quantization == UNIVERSAL)
        size = (self.height, self.width)
        if size in SIZES and self.quality <= _SHORT_QUALITIES and not (self.seed or self.offsets):
            return bytes([high | (SIZES.index(size) * _SHORT_QUALITIES + self.quality - 1), self.model_id])
        flags = _OFFSETS * self.offsets | _SEED * bool(self.seed)
        numbers = _number(self.height) + _number(self.width)
        seed = self.seed.to_bytes(_SEED_BYTES, "big") if self.seed else b""
        return bytes([high | _LONG | flags, self.model_id, self.quality - 1]) + numbers + seed


def parse(data: bytes) -> tuple[Header, int]:
    """Header of a file, and its number of bytes; raises :class:`uqdm.codec.StreamError`."""
    if len(data) < 2:
        raise StreamError("the file ends within its header")
    quantization = UNIVERSAL if data[0] & _UNIVERSAL else ROUNDING
    code = data[0] & ~_UNIVERSAL
    if code < len(SIZES) * _SHORT_QUALITIES:
        size, quality = divmod(code, _SHORT_QUALITIES)
        return Header(quantization, data[1], quality + 1, *SIZES[size]), 2
    if data[: len(_VERSION_1)] == _VERSION_1:
        raise StreamError("version 1 of the format; this release reads version 2")
    if not _LONG <= code < _LONG + _LONG_FORMS:
        raise StreamError("not a file of this codec, or one of a later version of its format")
    return _parse_long(data, quantization, code - _LONG)


def _parse_long(data: bytes, quantization: str, flags: int) -> tuple[Header, int]:
    height, place = _read_number(data, 3)
    width, end = _read_number(data, place)
    if not (height and width and height * width <= MAX_PIXELS):
        raise StreamError(f"the header claims {height} x {width} pixels; an image has 1 to {MAX_PIXELS:,}")
    seed = 0
    if flags & _SEED:
        seed, end = int.from_bytes(data[end : end + _SEED_BYTES], "big"), end + _SEED_BYTES
    if len(data) < end:
        raise StreamError("the file ends within its header")
    return Header(quantization, data[1], data[2] + 1, height, width, seed, bool(flags & _OFFSETS)), end


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
