"""Windows of images, and the texts that name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

AUTOMATIC_SIDE = 128
"""Images with a longer side are cut to a window of this height and width, pixels, unless another crop is asked for."""

_WINDOW = re.compile(r"(\d+),(\d+),(\d+),(\d+)")


@dataclass(frozen=True)
class Window:
    """A rectangle of an image: left and upper edge, width and height in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image_uint8: np.ndarray) -> np.ndarray:
        """The part of a picture [H, W, 3] inside the window."""
        return image_uint8[self.y : self.y + self.height, self.x : self.x + self.width]


Crop = Window | int | None
"""A window, the side of one that is placed automatically, or None for whole images."""


def parse_crop(text: str | None) -> Crop:
    """The crop that a text names: ``X,Y,WIDTH,HEIGHT``, a side, or ``whole``; None is :data:`AUTOMATIC_SIDE`.

    >>> parse_crop("8,0,64,32"), parse_crop("96"), parse_crop("whole"), parse_crop(None)
    (Window(x=8, y=0, width=64, height=32), 96, None, 128)
    """
    if text is None:
        return AUTOMATIC_SIDE
    if text == "whole":
        return None
    window = _WINDOW.fullmatch(text.replace(" ", ""))
    if window and int(window[3]) and int(window[4]):
        return Window(*map(int, window.groups()))
    if text.isdecimal() and int(text):
        return int(text)
    raise ValueError(f"crop={text!r}: write X,Y,WIDTH,HEIGHT in pixels, the side of a window, or whole")
