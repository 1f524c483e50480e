"""WebP (RFC 9649): lossy (VP8, always 4:2:0) and lossless."""

from __future__ import annotations

from typing import Any, ClassVar

from PIL import features

from uqdm.codec import Parameter
from uqdm_baselines._pillow import LOSSLESS, PillowCodec, pillow_version


class WebP(PillowCodec):
    """WebP with the slowest and best search of the lossy encoder (method 6)."""

    name = "webp"
    summary = "WebP by Pillow and libwebp, method 6; lossy (4:2:0) or lossless"
    parameters = (
        Parameter("quality", int, 75, "of the lossy mode", minimum=0, maximum=100),
        LOSSLESS,
        Parameter("method", int, 6, "effort; higher is slower and compresses better", minimum=0, maximum=6),
    )
    sweep: ClassVar = (
        *({"quality": quality} for quality in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)),
        {"lossless": True},
    )
    suffix = ".webp"
    format = "WEBP"
    feature = "webp"
    max_side = 16383  # WEBP_MAX_DIMENSION of libwebp

    @property
    def version(self) -> str:
        """Pillow and libwebp."""
        return pillow_version("libwebp", features.version("webp"))

    def save_options(self) -> dict[str, Any]:
        """In lossless mode libwebp uses ``quality`` as effort: 75, since 100 is 20 times slower for 0.3 % less."""
        return {
            "quality": self.values["quality"],
            "lossless": self.values["lossless"],
            "method": self.values["method"],
        }
