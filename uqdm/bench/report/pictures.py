"""Pictures in the page: lossless, stored once each, limited in number and size."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

MAX_SIDE = 256
"""Largest side in pixels; larger pictures are cropped to their centre."""
_MIN_SIDE = 64


class PicturePool:
    """Pictures as data URIs, identified by their index in :attr:`uris`; equal ones share an index."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._places: dict[bytes, int] = {}

    def add(self, image_uint8: np.ndarray, side: int = MAX_SIDE) -> int:
        """Keeps the centre of a picture, at most ``side`` pixels high and wide, and returns its index."""
        shown = centre(image_uint8, side)
        key = np.array(shown.shape).tobytes() + shown.tobytes()
        if key not in self._places:
            self._places[key] = len(self.uris)
            self.uris.append(data_uri(shown))
        return self._places[key]

    @property
    def n_bytes(self) -> int:
        """Size of the pictures in the page."""
        return sum(map(len, self.uris))


def centre(image_uint8: np.ndarray, side: int) -> np.ndarray:
    """The centre of a picture [H, W, 3], at most ``side`` pixels high and wide.

    >>> centre(np.zeros((100, 30, 3), np.uint8), 64).shape
    (64, 30, 3)
    """
    starts = [max(0, (length - side) // 2) for length in image_uint8.shape[:2]]
    return np.ascontiguousarray(image_uint8[tuple(slice(start, start + side) for start in starts)])


def data_uri(image_uint8: np.ndarray) -> str:
    """A picture as a lossless WebP in a data URI.

    >>> data_uri(np.zeros((2, 2, 3), np.uint8))[:27]
    'data:image/webp;base64,UklG'
    """
    buffer = io.BytesIO()
    Image.fromarray(image_uint8).save(buffer, "WEBP", lossless=True, quality=100, method=4)
    return uri_of_webp(buffer.getvalue())


def uri_of_webp(data: bytes) -> str:
    """The bytes of a WebP file as a data URI."""
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def thumbnail(image_uint8: np.ndarray, side: int = 96) -> np.ndarray:
    """A picture made smaller to choose it by, at most ``side`` pixels high and wide.

    >>> thumbnail(np.zeros((512, 768, 3), np.uint8)).shape
    (64, 96, 3)
    """
    image = Image.fromarray(image_uint8)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def share_out(budget_pixels: int, per_unit: int, most: int, height: int, width: int) -> tuple[int, int]:
    """How many units of ``per_unit`` pictures may be shown within a number of pixels, at most ``most``, and their side.

    At least one unit is shown: where not even that fits, its pictures are cut to a smaller side, down to 64.

    >>> share_out(1_000_000, per_unit=40, most=6, height=64, width=64)
    (6, 256)
    >>> share_out(1_000_000, per_unit=40, most=6, height=512, width=768)
    (1, 128)
    """
    side = MAX_SIDE
    while side > _MIN_SIDE and per_unit * min(side, height) * min(side, width) > budget_pixels:
        side //= 2
    units = budget_pixels // (per_unit * min(side, height) * min(side, width))
    return max(1, min(most, units)), side
