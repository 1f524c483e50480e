"""JPEG (ITU-T T.81), the baseline of the paper: sequential, optimised Huffman tables, 4:2:0."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from PIL import ImageFile, features

from uqdm.codec import Parameter, StreamParts
from uqdm_baselines._jpeg_segments import parts_of
from uqdm_baselines._pillow import PillowCodec, check_end_marker, pillow_version

_MOST_BYTES = 6
"""Bytes of a pixel in a file: two for each coefficient, more than noise in saturated colours needs at quality 100."""


class JPEG(PillowCodec):
    """JPEG with the settings of the paper's baseline.

    The published curves were made with IJG libjpeg 9, which scales chroma in the DCT. With libjpeg-turbo, qualities
    up to 90 agree with them within 0.1 dB and 0.6 % of rate; 95 is 0.33 dB and 100 2.65 dB lower.
    """

    name = "jpeg"
    summary = "JPEG by Pillow, sequential, optimised Huffman tables, 4:2:0"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("quality", int, 75, "of the quantisation tables", minimum=1, maximum=100),
    )
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

    def _save(self, image_uint8: np.ndarray, options: Mapping[str, Any]) -> bytes:
        with _block_of(_MOST_BYTES * image_uint8[..., 0].size):
            return super()._save(image_uint8, options)

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Coded data of scans; tables and headers of scans; the rest."""
        return {point.name: parts_of(stream[: point.n_bytes]) for point in self.points(stream)}

    def check_stream(self, stream: bytes) -> None:
        """Requires the end marker."""
        check_end_marker(stream)


@contextlib.contextmanager
def _block_of(n_bytes: int) -> Iterator[None]:
    """Makes Pillow encode into a buffer of at least that many bytes.

    Optimised tables need the whole file in one buffer. Pillow guesses its size, too small for noise, and fails.
    """
    usual = ImageFile.MAXBLOCK
    ImageFile.MAXBLOCK = max(usual, n_bytes)
    try:
        yield
    finally:
        ImageFile.MAXBLOCK = usual
