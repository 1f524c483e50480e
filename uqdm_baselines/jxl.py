"""JPEG XL (ISO/IEC 18181) by libjxl, through pillow-jxl-plugin."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from typing import Any, ClassVar

from uqdm.codec import Missing, Parameter, StreamError
from uqdm_baselines._pillow import LOSSLESS, PillowCodec, check_size

_DISTRIBUTION = "pillow-jxl-plugin"
_WIDTH_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # table of the size header


class JPEGXL(PillowCodec):
    """JPEG XL as a bare codestream, effort 7; lossy (XYB, tuned perceptually, not for PSNR) or lossless.

    The format's progressive modes cannot be used: the plugin decodes whole files only, so a file has no points inside.
    """

    name = "jxl"
    summary = "JPEG XL by libjxl, effort 7; lossy or lossless"
    parameters = (
        # 100 would be a distance of 0, which the plugin refuses outside its lossless mode
        Parameter("quality", int, 90, "on libjxl's scale; 90 is a distance of 1", minimum=0, maximum=99),
        LOSSLESS,
        Parameter("effort", int, 7, "of the encoder; higher is slower and compresses better", minimum=1, maximum=9),
    )
    sweep: ClassVar = (
        *({"quality": quality} for quality in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)),
        {"lossless": True},
    )
    suffix = ".jxl"
    format = "JXL"
    feature = ""
    max_side = 2**27  # the format's own bound, 2**30, is never reached

    @classmethod
    def missing(cls) -> Missing | None:
        """The reason if the plugin does not import."""
        try:
            _plugin()
        except ImportError as error:
            return Missing(f"{_DISTRIBUTION} does not import: {error}", 'pip install "uqdm[codecs]"')
        return None

    @property
    def version(self) -> str:
        """The plugin, and its libjxl if its bill of materials names it."""
        plugin = f"{_DISTRIBUTION} {importlib.metadata.version(_DISTRIBUTION)}"
        library = _libjxl_version()
        return f"{plugin}, libjxl {library}" if library else plugin

    def load_plugin(self) -> None:
        """Imports the plugin, which registers the format."""
        _plugin()

    def save_options(self) -> dict[str, Any]:
        """A codestream without a container, on one thread."""
        return {
            **self.values,
            "decoding_speed": 0,
            "use_container": False,
            "use_original_profile": False,
            "num_threads": 0,
        }

    def check_stream(self, stream: bytes) -> None:
        """Reads the size from the header, as the plugin decodes all pixels at once when it opens a stream."""
        if not stream.startswith(b"\xff\x0a"):
            raise StreamError("not a bare JPEG XL codestream")
        check_size(*_size(stream[2:20]))


def _plugin() -> Any:
    plugin: Any = importlib.import_module("pillow_jxl.JpegXLImagePlugin")
    plugin.DECODE_THREADS = 0  # the plugin's own switch; the default is all cores
    return plugin


def _libjxl_version() -> str | None:
    path = "sboms/pillow-jxl-plugin.cyclonedx.json"
    bill = json.loads(importlib.metadata.distribution(_DISTRIBUTION).read_text(path) or "{}")
    versions = [part["version"] for part in bill.get("components", []) if part.get("name") == "jpegxl-src"]
    return versions[0] if versions else None


def _size(header: bytes) -> tuple[int, int]:
    """Height and width from the size header that opens a codestream (ISO/IEC 18181-1, SizeHeader).

    >>> _size(bytes.fromhex("0f0a"))
    (64, 48)
    """
    bits, position = int.from_bytes(header, "little"), 0

    def take(count: int) -> int:
        nonlocal position
        position += count
        return bits >> position - count & (1 << count) - 1

    in_eights = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if in_eights else 1 + take((9, 13, 18, 30)[take(2)])

    height = side()
    ratio = take(3)
    if not ratio:
        return height, side()
    numerator, denominator = _WIDTH_RATIOS[ratio - 1]
    return height, height * numerator // denominator
