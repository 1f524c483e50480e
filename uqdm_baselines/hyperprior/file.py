"""The file, version 2 of the format: a header of 1 byte or more, and one short stream of :mod:`uqdm.coding.ans`.

The short form is for pictures of the sizes in ``SIZES`` and qualities up to 8, without seed and offsets. Its byte is
72 i + 8 s + quality - 1 for size s; i, from 0 to 2, is the remainder of the first byte of the model's SHA-256. The long
form is

====================  =====================================================================================
bytes                 content
====================  =====================================================================================
1                     224 + flags: 1 for offsets in the stream, 2 for a seed, 16 for universal quantization
1                     the first byte of the model's SHA-256: networks, prior and tables
1                     quality - 1
1 to 4 each           height, width: seven bits a byte, least significant first, the highest bit: more follow
4 (flag 2)            seed of the dither; 0 without the flag
====================  =====================================================================================

The stream has side information, sections of latents, and with flag 1 offsets of the grids. Its check value of 16 bits
is made of header, model, symbols, latents and, where it is exact, the picture. So besides its information a file of a
usual size takes 1 byte of header, at most 18 bits for the check, and less than a byte to fill the last one.
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
_SHORT_CODES = _SHORT_QUALITIES * len(SIZES)
_SHORT_IDS = 3
_LONG = 224
_OFFSETS, _SEED, _UNIVERSAL = 1, 2, 16
_MAX_NUMBER_BYTES = 4
_SEED_BYTES = 4


@dataclass(frozen=True)
class Header:
    """What a file says before its stream.

    ``quality`` counts the levels of the model for this quantization, from 1 on. With ``offsets`` the stream has
    offsets of all grids. ``model_id`` is the first byte of the model's digest, which depends on the quantization.
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
        ('0b', 'e0 ab 03 40 ac 02')
        """
        size = (self.height, self.width)
        if size in SIZES and self.quality <= _SHORT_QUALITIES and not (self.seed or self.offsets):
            code = SIZES.index(size) * _SHORT_QUALITIES + self.quality - 1
            return bytes([self.model_id % _SHORT_IDS * _SHORT_CODES + code])
        flags = _OFFSETS * self.offsets | _SEED * bool(self.seed) | _UNIVERSAL * (self.quantization == UNIVERSAL)
        numbers = _number(self.height) + _number(self.width)
        seed = self.seed.to_bytes(_SEED_BYTES, "big") if self.seed else b""
        return bytes([_LONG | flags, self.model_id, self.quality - 1]) + numbers + seed


def parse(data: bytes, quantization: str, model_id: int) -> tuple[Header, int]:
    """Header of a file for a quantization and a model, and its number of bytes.

    Raises :class:`uqdm.codec.StreamError`, also where the file is seen to be of others.
    """
    header, end = _parse(data, quantization, model_id)
    if header.quantization != quantization:
        raise StreamError(f"the file is of {header.quantization} quantization, and this codec's is {quantization}")
    if header.model_id != model_id:
        raise StreamError("the file needs another model: decode it with the model that it was made with")
    if not (header.height and header.width and header.height * header.width <= MAX_PIXELS):
        raise StreamError(
            f"the header claims {header.height} x {header.width} pixels; an image has 1 to {MAX_PIXELS:,}"
        )
    return header, end


def _parse(data: bytes, quantization: str, model_id: int) -> tuple[Header, int]:
    if not data:
        raise StreamError("the file is empty")
    if data[0] < _SHORT_IDS * _SHORT_CODES:
        part_of_id, code = divmod(data[0], _SHORT_CODES)
        size, quality = divmod(code, _SHORT_QUALITIES)
        known = model_id if part_of_id == model_id % _SHORT_IDS else -1
        return Header(quantization, known, quality + 1, *SIZES[size]), 1
    flags = data[0] - _LONG
    if flags & ~(_OFFSETS | _SEED | _UNIVERSAL):
        raise StreamError("not a file of this codec, or one of a later version of its format")
    height, place = _read_number(data, 3)
    width, end = _read_number(data, place)
    seed = 0
    if flags & _SEED:
        seed, end = int.from_bytes(data[end : end + _SEED_BYTES], "big"), end + _SEED_BYTES
    if len(data) < end:
        raise StreamError("the file ends within its header")
    found = UNIVERSAL if flags & _UNIVERSAL else ROUNDING
    return Header(found, data[1], data[2] + 1, height, width, seed, bool(flags & _OFFSETS)), end


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
