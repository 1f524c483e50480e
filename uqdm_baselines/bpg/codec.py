"""BPG as a codec of the benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from uqdm.codec import Codec, Missing, Parameter, ParameterError, StreamError, StreamParts, check_images
from uqdm_baselines.bpg import hevc, libbpg
from uqdm_baselines.bpg.file import parts_of, read_file, write_file
from uqdm_baselines.bpg.header import ColourSpace, FileHeader, PixelFormat

_FORMATS = {
    "420": (PixelFormat.YUV420, ColourSpace.BT601),
    "444": (PixelFormat.YUV444, ColourSpace.BT601),
    "rgb": (PixelFormat.YUV444, ColourSpace.RGB),
    "gray": (PixelFormat.GRAY, ColourSpace.BT601),
}
_ALLOWED = {  # pixel formats by implementation, and whether it is lossless
    ("builtin", False): tuple(_FORMATS),
    ("builtin", True): ("rgb", "gray"),  # the others lose precision in colour conversion
    ("libbpg", False): ("420", "444"),  # some of bpgenc's options for -f
    ("libbpg", True): ("rgb",),  # bpgenc -lossless writes rgb for any -f
}


class BPG(Codec):
    """BPG of eight bits, by the HEVC coders in PyAV (real .bpg files, the same pixels as libbpg's) or by libbpg.

    The paper's encoder is ``bpgenc -e jctvc``: ``implementation=libbpg``, if it is on PATH. libx265, which the built-in
    writer uses, has a rate within 2 % at equal PSNR (CIFAR-10, quality 10 to 40). Lossless it lacks the tools of
    HEVC's range extension, and its files are about 40 % larger. Lossless files of bpgenc can only be read by bpgdec.
    """

    name = "bpg"
    summary = "BPG (HEVC intra) by libx265, or by libbpg where installed; lossy 4:2:0 or 4:4:4, or lossless"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("quality", int, 29, "quantiser of HEVC: lower is better", minimum=0, maximum=51),
        Parameter("pixel_format", str, "420", "420 and 444 are YCbCr, the choice of libbpg", choices=tuple(_FORMATS)),
        Parameter("lossless", bool, False, "reproduce every pixel, rgb or (builtin) gray; leave quality out"),
        Parameter("implementation", str, "builtin", "libbpg: bpgenc and bpgdec on PATH", choices=("builtin", "libbpg")),
        Parameter("preset", str, "slow", "effort of libx265 (builtin)", choices=hevc.PRESETS),
    )
    sweep: ClassVar = (*({"quality": quality} for quality in (51, 40, 30, 20, 10, 0)), {"lossless": True})
    suffix = ".bpg"

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        default = {parameter.name: parameter.default for parameter in self.parameters}
        if self.values["lossless"]:
            self.values["pixel_format"] = values.get("pixel_format", "rgb")
            if self.values["quality"] != default["quality"]:
                raise ParameterError(f"{self.name}: lossless=true has no quality; leave quality out")
        self._check_pixel_format()
        if self._by_libbpg:
            if self.values["preset"] != default["preset"]:
                raise ParameterError(f"{self.name}: implementation=libbpg has no preset; leave preset out")
            libbpg.check_programs()

    @classmethod
    def missing(cls) -> Missing | None:
        """The reason if PyAV, or a coder in it, is missing."""
        return hevc.missing()

    @property
    def version(self) -> str:
        """The programs or libraries that code and decode."""
        return libbpg.version() if self._by_libbpg else hevc.version()

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Encodes each image, uint8 [H, W, 3]; raises ValueError for one that is too large, or not gray as required."""
        check_images(images)
        return [self._encode(image) for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decodes .bpg files of eight bits without alpha, from any encoder, to uint8 [H, W, 3]."""
        return [self._decode(stream) for stream in streams]

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Slices of the picture; parameters and tables of the coding tools; header of the file."""
        return {"full": parts_of(stream)}

    @property
    def _by_libbpg(self) -> bool:
        return bool(self.values["implementation"] == "libbpg")

    def _check_pixel_format(self) -> None:
        implementation = self.values["implementation"]
        lossless = self.values["lossless"]
        allowed = _ALLOWED[implementation, lossless]
        if self.values["pixel_format"] not in allowed:
            condition = f"implementation={implementation} with lossless={str(lossless).lower()}"
            raise ParameterError(
                f"{self.name}: pixel_format={self.values['pixel_format']} is not possible for {condition}; "
                f"it allows pixel_format {' or '.join(allowed)}"
            )

    def _encode(self, image_uint8: np.ndarray) -> bytes:
        pixel_format, space = _FORMATS[self.values["pixel_format"]]
        header = FileHeader(image_uint8.shape[1], image_uint8.shape[0], pixel_format, space)
        if self._by_libbpg:
            return libbpg.encode(image_uint8, self._libbpg_options(), header)
        quantiser = None if self.values["lossless"] else self.values["quality"]
        return write_file(image_uint8, header, quantiser, self.values["preset"])

    def _decode(self, stream: bytes) -> np.ndarray:
        if not stream:
            raise StreamError(f"{self.name}: the stream is empty")
        try:
            return libbpg.decode(stream) if self._by_libbpg else read_file(stream)
        except StreamError as error:
            raise StreamError(f"{self.name}: {error}") from error

    def _libbpg_options(self) -> list[str]:
        if self.values["lossless"]:
            return ["-lossless"]
        return ["-f", self.values["pixel_format"], "-q", str(self.values["quality"])]
