"""PNG (ISO/IEC 15948): lossless, the reference for general-purpose compression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import features

from uqdm.codec import StreamError, StreamParts
from uqdm_baselines._pillow import PillowCodec, open_image, pillow_version

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"  # the closing chunk: no data, its name, its checksum


class PNG(PillowCodec):
    """PNG at zlib's highest level, with a filter chosen for each row."""

    name = "png"
    summary = "PNG by Pillow, lossless, highest compression level"
    suffix = ".png"
    format = "PNG"
    feature = "zlib"
    max_side = 2**27  # the format's own bound, 2**31 - 1, is never reached

    @property
    def version(self) -> str:
        """Pillow and its zlib, or zlib-ng, which compresses differently."""
        ng = features.version_feature("zlib_ng")
        return pillow_version("zlib-ng", ng) if ng else pillow_version("zlib", features.version("zlib"))

    def save_options(self) -> dict[str, Any]:
        """Eight bits a channel, level 9."""
        return {"optimize": True, "compress_level": 9}

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Data of the IDAT chunks; the checksums of all chunks; the rest."""
        payload_bytes = side_bytes = 0
        position = len(_SIGNATURE)
        while position < len(stream):
            length = int.from_bytes(stream[position : position + 4], "big")
            payload_bytes += length if stream[position + 4 : position + 8] == b"IDAT" else 0
            side_bytes += 4
            position += 12 + length
        return {"full": StreamParts(payload_bytes, side_bytes, len(stream) - payload_bytes - side_bytes)}

    def check_stream(self, stream: bytes) -> None:
        """Checks the checksum of every chunk and the closing one, which decoding does not check."""
        with open_image(stream, self.format) as image:
            image.verify()
        if not stream.endswith(_END):
            raise StreamError(f"cut short: no closing chunk after {len(stream)} bytes")
