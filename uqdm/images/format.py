"""The reader of one format, and its shared parts: Pillow's decoders on bytes without metadata."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFile

from uqdm.errors import UserError
from uqdm.images.changes import Change
from uqdm.images.errors import check_size, other_colours

_BAND_PIXELS = 2**20  # converted at once, to limit the memory of intermediate values


@dataclass(frozen=True)
class Pixels:
    """The pixels as stored, their orientation, and what reading changed so far."""

    rgb_uint8: np.ndarray
    """uint8 [H, W, 3]."""
    orientation: int = 1
    """EXIF 2.3, tag 0x0112: 1 to 8."""
    changes: tuple[Change, ...] = ()

    def and_(self, *changes: Change, orientation: int = 1) -> Pixels:
        """The same pixels with an orientation and further changes."""
        return replace(self, orientation=orientation, changes=(*self.changes, *changes))


@dataclass(frozen=True)
class Reader:
    """One format: recognizes a file by its first 32 bytes, and reads its pixels."""

    name: str
    accepts: Callable[[bytes], bool]
    read: Callable[[bytes, int], Pixels]
    """Reads the bytes of a file with at most that many pixels. Raises RefusedError, or any other exception."""


def decoded(
    kind: Callable[..., Image.Image],
    data: bytes | bytearray,
    max_pixels: int,
    check: Callable[[Image.Image], None] = lambda image: None,
) -> Pixels:
    """The pixels of a file, read by one class of Pillow; alpha is composited on white.

    The class is called directly, since ``Image.open`` tries every installed plug-in. ``check`` gets the image before
    its colours are converted.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UserError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set in this process, so damage would not be detected: "
            "set it to False"
        )
    with kind(io.BytesIO(data), "") as image:
        check_size(image.width, image.height, max_pixels)
        image.load()
        check(image)
        return rgb_of(image)


_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")


def rgb_of(image: Image.Image) -> Pixels:
    """The pixels of a loaded image: grey is replicated, palettes are looked up, alpha is composited on white."""
    if image.mode not in _MODES:
        raise other_colours(image.mode)
    result = np.empty((image.height, image.width, 3), np.uint8)
    transparent = image.has_transparency_data
    is_seen_through = False
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        part = result[top : top + rows]
        band_uint8 = np.asarray(band.convert("RGBA" if transparent else "RGB"))
        part[:] = on_white(band_uint8) if transparent else band_uint8
        is_seen_through |= transparent and has_alpha(band_uint8)
    return Pixels(result, changes=(Change.ALPHA,) if is_seen_through else ())


def has_alpha(rgba_uint8: np.ndarray) -> bool:
    """Whether any pixel of [..., 4] is not opaque."""
    return bool((rgba_uint8[..., 3] < 255).any())


def on_white(rgba_uint8: np.ndarray) -> np.ndarray:
    """Composites [H, W, 4] on white in integers, halves rounded up."""
    colour = rgba_uint8[..., :3].astype(np.uint32)
    alpha = rgba_uint8[..., 3:].astype(np.uint32)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def scaled(values: np.ndarray, maximum: int) -> np.ndarray:
    """Values 0 to ``maximum`` (1 to 255) as 0 to 255, rounded; raises ValueError for one above it.

    >>> scaled(np.array([0, 1, 31]), 31).tolist()
    [0, 8, 255]
    """
    if maximum == 255:
        return np.asarray(values, np.uint8)
    table = ((2 * 255 * np.arange(maximum + 1) + maximum) // (2 * maximum)).astype(np.uint8)
    if values.size and values.max() > maximum:
        raise ValueError(f"a value of {values.max()}, where its header says that {maximum} is the greatest")
    return np.asarray(table[values])
