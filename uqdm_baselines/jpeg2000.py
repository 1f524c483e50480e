"""JPEG 2000 (ITU-T T.800), the baseline of the paper: a file per point, with cumulative quality layers."""

from __future__ import annotations

from typing import Any, ClassVar

from PIL import features

from uqdm.codec import Parameter
from uqdm_baselines._pillow import PillowCodec, check_end_marker, pillow_version

LAYERS = ("20", "20,10", "20,10,5", "20,10,5,3", "20,10,5,3,2", "20,10,5,3,2,1")
TRANSFORM = Parameter(
    "transform",
    str,
    "none-5/3",
    "of colour and wavelet: none or reversible (RCT) with 5/3, irreversible (ICT) with 9/7",
    choices=("none-5/3", "rct-5/3", "ict-9/7"),
)


class JPEG2000(PillowCodec):
    """JPEG 2000 in a .jp2 file, with the settings of the paper's baseline.

    ``layers`` lists the compression ratio at each quality layer of the file; the last one determines its size, and
    a ratio of 1 makes it lossless (with a 5/3 wavelet). As in the published curve the colour channels are coded
    separately; ``transform="ict-9/7"`` is about 4 dB better at equal rate, and is a separate codec, ``jpeg2000-tuned``.
    """

    name = "jpeg2000"
    summary = "JPEG 2000 by Pillow and OpenJPEG; as published, reversible 5/3 without a colour transform"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("layers", str, "20,10,5", "compression ratio of each quality layer", choices=LAYERS),
        TRANSFORM,
    )
    sweep: ClassVar = tuple({"layers": layers} for layers in LAYERS)
    suffix = ".jp2"
    format = "JPEG2000"
    feature = "jpg_2000"
    max_side = 2**27  # the format's own bound, 2**32 - 1, is never reached

    @property
    def version(self) -> str:
        """Pillow and OpenJPEG."""
        return pillow_version("OpenJPEG", features.version("jpg_2000"))

    @property
    def layers(self) -> str:
        """The compression ratio of each quality layer."""
        return str(self.values["layers"])

    @property
    def transform(self) -> str:
        """Colour transform and wavelet."""
        return str(self.values["transform"])

    def save_options(self) -> dict[str, Any]:
        """One tile, layers by rate, progression by layer."""
        colour, _, wavelet = self.transform.partition("-")
        return {
            "quality_mode": "rates",
            "quality_layers": [float(ratio) for ratio in self.layers.split(",")],
            "irreversible": wavelet == "9/7",
            "mct": int(colour != "none"),  # the wavelet determines which of the two transforms is used
            "num_resolutions": 0,  # six, or as many as the shorter side allows
            "codeblock_size": (64, 64),
            "progression": "LRCP",
        }

    def check_stream(self, stream: bytes) -> None:
        """Requires the end marker: OpenJPEG decodes a file that ends after the main header to a black picture."""
        check_end_marker(stream)
