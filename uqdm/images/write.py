"""Writes pixels to an image file; says which suffixes keep every pixel."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, features

from uqdm.errors import UserError
from uqdm.images.read import read_image


@dataclass(frozen=True)
class WrittenFormat:
    """A format for writing pictures."""

    name: str
    """Pillow's name of the format."""
    exact: bool
    """Whether every pixel is kept."""
    max_side: int
    """Greatest height and width, pixels."""
    feature: str = ""
    """Pillow's name of the library that it needs, as in ``PIL.features``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of ``Image.save``."""


PNG = WrittenFormat("PNG", True, 2**31 - 1)
_PPM = WrittenFormat("PPM", True, 2**31 - 1)
_BMP = WrittenFormat("BMP", True, 2**31 - 1)
_TIFF = WrittenFormat("TIFF", True, 2**31 - 1)
_WEBP = WrittenFormat("WEBP", True, 16383, "webp", {"lossless": True})
_JPEG2000 = WrittenFormat("JPEG2000", True, 2**31 - 1, "jpg_2000")
_JPEG = WrittenFormat("JPEG", False, 65500, "", {"quality": 95, "subsampling": "4:4:4"})
_GIF = WrittenFormat("GIF", False, 65535)
_AVIF = WrittenFormat("AVIF", False, 65536, "avif", {"quality": 95, "subsampling": "4:4:4"})

FORMAT_BY_SUFFIX = {
    **dict.fromkeys((".png",), PNG),
    **dict.fromkeys((".ppm", ".pnm"), _PPM),
    **dict.fromkeys((".bmp", ".dib"), _BMP),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    **dict.fromkeys((".webp",), _WEBP),
    **dict.fromkeys((".jp2", ".j2k", ".j2c", ".jpc"), _JPEG2000),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), _JPEG),
    **dict.fromkeys((".gif",), _GIF),
    **dict.fromkeys((".avif",), _AVIF),
}


def written_format(suffix: str) -> WrittenFormat:
    """The format of a suffix such as ``.png``; raises a ValueError that lists the known ones.

    >>> written_format(".PNG").exact, written_format(".jpg").exact
    (True, False)
    """
    found = FORMAT_BY_SUFFIX.get(suffix.lower())
    if found is None:
        exact = " ".join(name for name, kind in FORMAT_BY_SUFFIX.items() if kind.exact)
        lossy = " ".join(name for name, kind in FORMAT_BY_SUFFIX.items() if not kind.exact)
        raise ValueError(
            f"unknown kind of image {suffix or '(no suffix)'}; these keep every pixel: {exact}; these do not: {lossy}"
        )
    if found.feature and not features.check(found.feature):
        raise ValueError(f"this Pillow was built without {found.name}; use .png, or install a Pillow wheel")
    return found


def check_holds(kind: WrittenFormat, width: int, height: int) -> None:
    """Raises ValueError if a format cannot hold an image of this size."""
    if max(width, height) > kind.max_side:
        raise ValueError(f"{width} x {height} pixels; {kind.name} holds at most {kind.max_side} a side, use .png")


def image_bytes(image_uint8: np.ndarray, kind: WrittenFormat) -> tuple[bytes, int]:
    """The file of pixels uint8 [H, W, 3], and the greatest error of a pixel in it, in grey levels.

    The file is read again to determine the error. In an exact format it must be 0, or UserError is raised.
    """
    buffer = io.BytesIO()
    Image.fromarray(image_uint8).save(buffer, kind.name, **kind.options)
    data = buffer.getvalue()
    error = _greatest_error(read_image(data, max_pixels=image_uint8[..., 0].size), image_uint8)
    if kind.exact and error:
        raise UserError(f"the {kind.name} encoder changed pixels by up to {error}; use .png")
    return data, error


def _greatest_error(one: np.ndarray, other: np.ndarray) -> int:
    """Computed by rows, so that differences need little memory."""
    rows = zip(one, other, strict=True)
    return max(int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max()) for a, b in rows)
