"""JPEG (ITU-T T.81), the baseline of the paper: sequential, optimised Huffman tables, 4:2:0."""

from __future__ import annotations

from typing import Any, ClassVar

from PIL import features

from baselines._pillow import PillowCodec, check_end_marker, pillow_version
from uqdm.codec import Parameter


class JPEG(PillowCodec):
    """JPEG with the settings of the paper's baseline.

    The published curves were made with IJG libjpeg 9, which scales chroma in the DCT. With libjpeg-turbo, qualities
    up to 90 agree with them within 0.1 dB and 0.6 % of rate; 95 is 0.33 dB and 100 2.65 dB lower.
    """

    name = "jpeg"
    summary = "JPEG by Pillow, sequential, optimised Huffman tables, 4:2:0"
    parameters = (Parameter("quality", int, 75, "of the quantisation tables", minimum=1, maximum=100),)
    sweep: ClassVar = tuple({"quality": quality} for quality in (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100))
    suffix = ".jpg"
    format = "JPEG"
    feature = "jpg"
    max_side = 65500  # JPEG_MAX_DIMENSION of libjpeg

    @property
    def version(self) -> str:
        """Pillow and its JPEG library, libjpeg-turbo or libjpeg."""
        turbo = features.version_feature("libjpeg_turbo")
        return pillow_version("libjpeg-turbo", turbo) if turbo else pillow_version("libjpeg", features.version("jpg"))

    def save_options(self) -> dict[str, Any]:
        """Baseline process, tables of the given quality."""
        return {"quality": self.values["quality"], "optimize": True, "progressive": False, "subsampling": "4:2:0"}

    def check_stream(self, stream: bytes) -> None:
        """Asks for the end marker."""
        check_end_marker(stream)
