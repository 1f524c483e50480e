"""HEVC intra pictures by the coders of the PyAV wheel: libx265 encodes, FFmpeg decodes. One thread each."""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from uqdm.codec import Missing, StreamError
from uqdm_baselines.bpg.colour import Planes, chroma_size
from uqdm_baselines.bpg.header import PixelFormat

PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",  # the slowest: "placebo" refuses pictures whose smallest block is 16
)
MIN_SIDE = 16
"""Least coded height and width that libx265 supports."""

_FORMATS = {
    PixelFormat.GRAY: "gray",
    PixelFormat.YUV420: "yuv420p",
    PixelFormat.YUV422: "yuv422p",
    PixelFormat.YUV444: "yuv444p",
}
_REMEDY = 'pip install "uqdm[codecs]"'
# A single intra picture with its headers and nothing else; amp is what the BPG specification assumes.
_X265 = "keyint=1:info={info}:repeat-headers=1:amp=1:rect=1:wpp=0:pools=none:frame-threads=1:log-level=none"


@dataclass(frozen=True)
class Effort:
    """Settings of the encoder: the quantiser (None for lossless), preset, smallest coding block, and chroma's offset.

    The quantiser of chroma is that of luma plus the offset.
    """

    quantiser: int | None
    preset: str
    block: int
    chroma_offset: int = 0

    def options(self, info: bool = False) -> dict[str, str]:
        """Options of FFmpeg's libx265. An ``ipratio`` of 1 keeps an intra picture at the quantiser itself."""
        rate = "lossless=1" if self.quantiser is None else f"qp={self.quantiser}:ipratio=1.0"
        offsets = f"cbqpoffs={self.chroma_offset}:crqpoffs={self.chroma_offset}"
        params = f"{_X265.format(info=int(info))}:{rate}:{offsets}:min-cu-size={self.block}"
        return {"preset": self.preset, "tune": "ssim", "x265-params": params}


def missing() -> Missing | None:
    """The reason if PyAV does not import, or was built without one of the two coders."""
    try:
        av = _av()
    except ImportError as error:
        return Missing(f"PyAV does not import: {error}", _REMEDY)
    lacking = [name for name in ("libx265", "hevc") if name not in av.codecs_available]
    return Missing(f"this build of PyAV has no {' and no '.join(lacking)}", _REMEDY) if lacking else None


@functools.cache
def version() -> str:
    """PyAV, libx265 (as it signs its streams) and FFmpeg."""
    av = _av()
    grey = np.zeros((MIN_SIDE, MIN_SIDE), np.uint8)
    signed = _encode([grey], PixelFormat.GRAY, Effort(30, "ultrafast", 8).options(info=True))
    found = re.search(rb"x265 \(build \d+\) - ([^ :]+)", signed)
    x265 = found[1].decode() if found else "of unknown version"
    return f"PyAV {av.__version__}, libx265 {x265}, FFmpeg {av.ffmpeg_version_info}"


def encode_picture(planes: Planes, pixel_format: PixelFormat, effort: Effort) -> bytes:
    """Codes planes, uint8 and padded to multiples of the smallest block, to a byte stream of NAL units.

    Raises ValueError for a size that libx265 refuses: over 4096 pixels on one side and under 32 on the other.
    """
    try:
        return _encode(planes, pixel_format, effort.options())
    except _av().error.FFmpegError as error:
        height, width = planes[0].shape
        raise ValueError(f"libx265 refuses a picture of {height} x {width}: {error.strerror}") from error


def _encode(planes: Planes, pixel_format: PixelFormat, options: dict[str, str]) -> bytes:
    av = _av()
    height, width = planes[0].shape
    encoder = av.CodecContext.create("libx265", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, _FORMATS[pixel_format]
    encoder.time_base = Fraction(1, 25)  # has no meaning for a picture, but must be set
    encoder.thread_count = 1
    encoder.options = options
    frame = av.VideoFrame(width, height, _FORMATS[pixel_format])
    for plane, samples in zip(frame.planes, planes, strict=True):
        _samples(plane)[...] = samples
    return b"".join(bytes(packet) for part in (frame, None) for packet in encoder.encode(part))


def decode_picture(stream: bytes, height: int, width: int, pixel_format: PixelFormat) -> Planes:
    """Decodes a byte stream of one picture, whose coded size is given, to planes uint8.

    Raises StreamError if FFmpeg finds damage, or the picture has another size or format.
    """
    av = _av()
    decoder = av.CodecContext.create("hevc", "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode"}
    try:
        frames = [frame for packet in (av.Packet(stream), None) for frame in decoder.decode(packet)]
    except av.error.FFmpegError as error:
        raise StreamError(f"damaged or cut short: FFmpeg's HEVC decoder says {error.strerror}") from error
    if len(frames) != 1 or frames[0].is_corrupt:
        raise StreamError(f"damaged or cut short: it holds {len(frames)} whole pictures, expected one")
    (frame,) = frames
    if (frame.height, frame.width, frame.format.name) != (height, width, _FORMATS[pixel_format]):
        raise StreamError("the HEVC picture is not of the size and format that the header says")
    return [_samples(plane) for plane in frame.planes]


def _samples(plane: Any) -> np.ndarray:
    """The samples of a plane of a frame, uint8 [H, W]: a view."""
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def pad_planes(planes: Planes, height: int, width: int, pixel_format: PixelFormat) -> Planes:
    """Planes of the coded size: the last row and column of each are repeated (chroma after it was subsampled)."""
    sizes = [(height, width), *[chroma_size(height, width, pixel_format)] * 2]
    return [_pad(plane, size) for plane, size in zip(planes, sizes, strict=False)]


def crop_planes(planes: Planes, height: int, width: int, pixel_format: PixelFormat) -> Planes:
    """Undoes :func:`pad_planes`."""
    sizes = [(height, width), *[chroma_size(height, width, pixel_format)] * 2]
    return [plane[:rows, :columns] for plane, (rows, columns) in zip(planes, sizes, strict=False)]


def _pad(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    below, behind = (wanted - side for wanted, side in zip(size, plane.shape, strict=True))
    return np.pad(plane, ((0, below), (0, behind)), mode="edge")


def _av() -> Any:
    return importlib.import_module("av")
