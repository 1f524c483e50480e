"""What a second stage sees of a stream: the decoded picture or the latents, and the rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uqdm.codec import Codec, LatentCodec, ParameterError

PICTURE, LATENTS = "picture", "latents"
KINDS = (PICTURE, LATENTS)


@dataclass(frozen=True)
class Conditions:
    """The conditions of n streams of images of one size."""

    log2_bpp: np.ndarray
    """log2 of the whole file's bits per pixel, float32 [n]."""
    pictures_uint8: np.ndarray | None = None
    """Decoded pictures, uint8 [n, H, W, 3], for models of kind ``picture``."""
    latents: np.ndarray | None = None
    """Latents, float32 [n, C, h, w], for models of kind ``latents``."""

    def __len__(self) -> int:
        return len(self.log2_bpp)

    def rows(self, places: Sequence[int] | np.ndarray) -> Conditions:
        """The conditions of some streams."""
        chosen = np.asarray(places, np.int64)
        parts = (self.pictures_uint8, self.latents)
        return Conditions(self.log2_bpp[chosen], *(None if part is None else part[chosen] for part in parts))


def log2_bpp(n_bytes: int, height: int, width: int) -> float:
    """log2 of a file's bits per pixel.

    >>> log2_bpp(512, 64, 64)
    0.0
    """
    return math.log2(8 * n_bytes / (height * width))


def check_codec(codec: Codec, kind: str) -> None:
    """Raises :class:`uqdm.codec.ParameterError` for a codec whose streams do not have what a kind of model sees."""
    if codec.ideal:
        raise ParameterError(f"{codec.name} is an ideal codec, and has no files to decode")
    if kind == LATENTS and not isinstance(codec, LatentCodec):
        raise ParameterError(f"{codec.name} has no latents; a model of kind {LATENTS} needs a codec such as hyperprior")


def conditions_of(codec: Codec, streams: Sequence[bytes], kind: str, height: int, width: int) -> Conditions:
    """The conditions of whole streams of images of one size.

    Raises :class:`uqdm.codec.StreamError` for a stream that does not decode.
    """
    rates = np.array([log2_bpp(len(stream), height, width) for stream in streams], np.float32)
    if kind == PICTURE:
        return Conditions(rates, pictures_uint8=np.stack(codec.decode(streams)))
    assert isinstance(codec, LatentCodec)
    return Conditions(rates, latents=np.stack(codec.latents(streams)))
