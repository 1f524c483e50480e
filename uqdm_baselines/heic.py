"""HEIC (HEVC still pictures in HEIF, ISO/IEC 23008-12) by libheif and x265, through pillow-heif."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from uqdm.codec import Missing, Parameter, ParameterError
from uqdm_baselines._pillow import LOSSLESS, PillowCodec

_REMEDY = 'pip install "uqdm[heic]"'


class HEIC(PillowCodec):
    """HEIC by x265, tuned for PSNR instead of its default, SSIM."""

    name = "heic"
    summary = "HEIC by libheif and x265, tuned for PSNR, 4:4:4 unless set otherwise; lossy or lossless"
    parameters = (
        Parameter("quality", int, 50, "of libheif's scale", minimum=0, maximum=100),
        Parameter("subsampling", str, "4:4:4", "of chroma", choices=("4:4:4", "4:2:2", "4:2:0")),
        LOSSLESS,
    )
    sweep: ClassVar = (
        *({"quality": quality} for quality in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)),
        {"lossless": True},
    )
    suffix = ".heic"
    format = "HEIF"
    feature = ""
    max_side = 16384

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.values["lossless"] and self.values["subsampling"] != "4:4:4":
            raise ParameterError(f"{self.name}: lossless=true keeps all chroma; leave subsampling out")

    @classmethod
    def missing(cls) -> Missing | None:
        """The reason if pillow-heif does not import, or was built without x265."""
        try:
            plugin = _plugin()
        except ImportError as error:
            return Missing(f"pillow-heif does not import: {error}", _REMEDY)
        if "x265" not in plugin.libheif_info()["encoders"]:
            return Missing("this build of pillow-heif has no x265", _REMEDY)
        return None

    @property
    def version(self) -> str:
        """pillow-heif, libheif, and the HEVC encoder and decoder behind it."""
        plugin = _plugin()
        known = plugin.libheif_info()
        decoder = next(iter(known["decoders"].values()), "no decoder")
        return f"pillow-heif {plugin.__version__}, libheif {known['libheif']}, {known['encoders']['x265']}, {decoder}"

    def load_plugin(self) -> None:
        """Imports the plugin, which registers the format."""
        _plugin()

    def save_options(self) -> dict[str, Any]:
        """x265 on one thread."""
        options: dict[str, Any] = {
            "quality": self.values["quality"],
            "subsampling": self.values["subsampling"],
            "enc_params": {"tune": "psnr", "preset": "slow", "x265:pools": "none", "x265:frame-threads": "1"},
        }
        options["enc_params"]["x265:allow-non-conformance"] = "1"  # x265 refuses long narrow strips without it
        if self.values["lossless"]:
            options |= {"quality": -1, "subsampling": "4:4:4", "matrix_coefficients": 0}  # RGB, not YCbCr
        return options


def _plugin() -> Any:
    plugin: Any = importlib.import_module("pillow_heif")
    plugin.options.DECODE_THREADS = 1
    plugin.register_heif_opener(thumbnails=False)
    return plugin
