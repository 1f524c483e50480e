"""The header of a .bpg file (BPG specification, ``heic_file``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from uqdm.codec import StreamError
from uqdm_baselines.bpg.bits import read_ue7, write_ue7

MAGIC = b"BPG\xfb"
MAX_PIXELS = 35_651_584
"""Greatest size of a picture: that of level 6.2, the highest of H.265, table A.8. This limit stops headers that
ask for terabytes; :func:`uqdm_baselines.bpg.tools.check_payload` bounds the pixels by the bytes of the file as well."""
MAX_SIDE = 16_888
"""Greatest height and width: the square root of 8 x ``MAX_PIXELS`` (H.265, A.4.1)."""


class PixelFormat(IntEnum):
    """Planes of the picture; chroma of 4:2:0 and 4:2:2 is sited as in JPEG, between the luma samples."""

    GRAY = 0
    YUV420 = 1
    YUV422 = 2
    YUV444 = 3


class ColourSpace(IntEnum):
    """What the three planes hold. ``RGB`` is stored in the order G, B, R."""

    BT601 = 0
    RGB = 1
    YCGCO = 2
    BT709 = 3
    BT2020 = 4


@dataclass(frozen=True)
class FileHeader:
    """Size, in pixels, and meaning of the planes of a picture of eight bits without alpha.

    >>> FileHeader(64, 48, PixelFormat.YUV420).to_bytes(300).hex()
    '425047fb20004030822c'
    """

    width: int
    height: int
    pixel_format: PixelFormat
    colour_space: ColourSpace = ColourSpace.BT601
    limited_range: bool = False

    def to_bytes(self, picture_bytes: int) -> bytes:
        """The header of a file whose picture, HEVC header included, has that many bytes.

        ``bpgenc`` writes 0 there, for a picture that extends to the end of the file: a byte less in files of 128 bytes
        and more, but no decoder can then detect that a file was cut short.
        """
        flags = bytes([self.pixel_format << 5, self.colour_space << 4 | self.limited_range << 1])
        return MAGIC + flags + write_ue7(self.width) + write_ue7(self.height) + write_ue7(picture_bytes)


def read_header(stream: bytes) -> tuple[FileHeader, bytes]:
    """The header of a file, and the picture after it (headers and data of HEVC).

    Metadata are skipped, and bytes after the picture ignored. Raises StreamError for a file that is not .bpg, is cut
    short, is larger than ``MAX_PIXELS``, or has an alpha plane, an animation, or more than eight bits a sample.
    """
    if not stream.startswith(MAGIC):
        raise StreamError("not a BPG file: its first four bytes are not those of the format")
    if len(stream) < len(MAGIC) + 2:
        raise StreamError("the header is cut short")
    first, second = stream[4], stream[5]
    _check_features(first, second)
    width, position = read_ue7(stream, 6)
    height, position = read_ue7(stream, position)
    _check_size(height, width)
    length, position = read_ue7(stream, position)
    if second & 0x08:  # metadata
        extension, position = read_ue7(stream, position)
        position += extension
    end = position + length if length else len(stream)
    if position >= len(stream) or end > len(stream):
        raise StreamError(f"cut short: {len(stream)} bytes, the header asks for {max(end, position + 1)}")
    header = FileHeader(width, height, PixelFormat(first >> 5), ColourSpace(second >> 4), bool(second & 0x02))
    return header, stream[position:end]


def _check_features(first: int, second: int) -> None:
    """Raises StreamError for flags that this reader does not support, or that the format reserves."""
    pixel_format, colour_space = first >> 5, second >> 4
    if first & 0x10 or second & 0x04:
        raise StreamError("has an alpha plane, which is not supported: images here are RGB")
    if second & 0x01:
        raise StreamError("is an animation, which is not supported: images here are single")
    if first & 0x0F:
        raise StreamError(f"has {8 + (first & 0x0F)} bits a sample, only 8 are supported")
    if pixel_format in (4, 5):
        raise StreamError("has chroma sited as in MPEG-2, which is not supported (only as in JPEG)")
    if pixel_format > max(PixelFormat) or colour_space > max(ColourSpace):
        raise StreamError(f"has the reserved pixel format {pixel_format} or colour space {colour_space}")
    if colour_space == ColourSpace.RGB and pixel_format != PixelFormat.YUV444:
        raise StreamError("has RGB with subsampled planes")
    if pixel_format == PixelFormat.GRAY and colour_space:
        raise StreamError("is gray, with a colour space")


def _check_size(height: int, width: int) -> None:
    if not (height and width):
        raise StreamError(f"its header has an empty picture, {height} x {width}")
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE:
        bound = f"{MAX_PIXELS} allowed, or the {MAX_SIDE} a side"
        raise StreamError(f"its header asks for {height} x {width} pixels, more than the {bound}")
