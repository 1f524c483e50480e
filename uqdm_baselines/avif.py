"""AVIF (AV1 still pictures) by the encoder libaom, through pillow-avif-plugin."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from uqdm.codec import Missing, Parameter
from uqdm.errors import UserError
from uqdm_baselines._pillow import PillowCodec

_REMEDY = 'pip install "uqdm[codecs]"'
_CONVERSION = "exact YCbCr"
"""Part of the version, since files were different when the encoder got RGB without alpha."""


class AVIF(PillowCodec):
    """AVIF, eight bits, full range, tuned for PSNR, the metric of the benchmark.

    The plugin, not Pillow's own AVIF, encodes and decodes: importing it replaces Pillow's in this process. The
    encoder gets RGB with an opaque alpha channel, which it omits from the file. libavif converts plain RGB to full
    chroma by libyuv, whose coefficients of seven bits cost 4 dB at quality 100; its conversion of RGB with alpha is
    exact. There is no lossless mode: the plugin takes eight bits of RGB, and codes YCbCr at every quality, so pixels
    differ by up to 2.
    """

    name = "avif"
    summary = "AVIF by libaom, tuned for PSNR, 4:4:4 unless set otherwise"
    parameters = (
        Parameter("quality", int, 75, "of libavif's scale", minimum=0, maximum=100),
        Parameter("subsampling", str, "4:4:4", "of chroma", choices=("4:4:4", "4:2:2", "4:2:0")),
        Parameter("speed", int, 4, "of the encoder; lower is slower and compresses better", minimum=0, maximum=10),
    )
    sweep: ClassVar = tuple({"quality": quality} for quality in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100))
    suffix = ".avif"
    format = "AVIF"
    feature = ""
    max_side = 32768  # the limit of libavif's decoder

    @classmethod
    def missing(cls) -> Missing | None:
        """The reason if the plugin does not import, or was built without libaom."""
        try:
            plugin = _plugin()
        except ImportError as error:
            return Missing(f"pillow-avif-plugin does not import: {error}", _REMEDY)
        if not plugin.SUPPORTED or not plugin._avif.encoder_codec_available("aom"):
            return Missing("this build of pillow-avif-plugin has no libaom", _REMEDY)
        return None

    @property
    def version(self) -> str:
        """The plugin, libavif, and the AV1 encoder and decoder behind it."""
        plugin = _plugin()
        parts = [f"pillow-avif-plugin {importlib.import_module('pillow_avif').__version__}"]
        parts += [f"libavif {plugin._avif.libavif_version}"]
        decoder = next(name for name in ("dav1d", "libgav1", "aom") if plugin._avif.decoder_codec_available(name))
        parts += [f"{name} {plugin.get_codec_version(name)}" for name in dict.fromkeys(["aom", decoder])]
        return ", ".join([*parts, _CONVERSION])

    def load_plugin(self) -> None:
        """Imports the plugin; raises UserError if another package has replaced it since."""
        plugin = _plugin()
        if Image.SAVE[self.format].__module__ != plugin.__name__:
            raise UserError(
                "avif: another package has replaced pillow-avif-plugin in this process; "
                "uninstall it, or do not import it"
            )

    def _picture(self, image_uint8: np.ndarray) -> Image.Image:
        """With an opaque alpha channel; see the class."""
        return Image.fromarray(image_uint8).convert("RGBA")

    def save_options(self) -> dict[str, Any]:
        """libaom on one thread, one tile, PSNR tuning (its own default for still pictures is perceptual)."""
        return {
            **self.values,
            "codec": "aom",
            "range": "full",
            "max_threads": 1,
            "autotiling": False,
            "advanced": {"tune": "psnr"},
        }


def _plugin() -> Any:
    plugin: Any = importlib.import_module("pillow_avif.AvifImagePlugin")
    plugin.DEFAULT_MAX_THREADS = 1  # of the decoder: the plugin's own switch for it
    return plugin
