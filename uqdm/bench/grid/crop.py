"""The part of an image that a grid shows: the same of the original and of every codec."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from uqdm.bench.grid.window import Crop, Window


def window_of(crop: Crop, pictures: Iterable[np.ndarray], image_id: str) -> Window:
    """The window of one image, from its original and pictures, uint8 [H, W, 3] of one size.

    A window without a place is put where the pictures differ most from each other. Raises ValueError for one that is
    not inside the image.
    """
    shown = list(pictures)
    height, width = shown[0].shape[:2]
    whole = Window(0, 0, width, height)
    if crop is None:
        return whole
    if isinstance(crop, Window):
        if crop.x + crop.width > width or crop.y + crop.height > height:
            asked = f"{crop.x},{crop.y},{crop.width},{crop.height}"
            raise ValueError(f"crop={asked}: {image_id} has {width} x {height} pixels; choose a window inside it")
        return crop
    if max(height, width) <= crop:
        return whole
    y, x = busiest(difference(shown), min(crop, height), min(crop, width))
    return Window(x, y, min(crop, width), min(crop, height))


def difference(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """How much pictures differ at each pixel: their variance, summed over the colours [H, W]."""
    n, total, squares = 0, np.zeros(()), np.zeros(())
    for picture in pictures:
        values = picture.astype(np.float64)
        n, total, squares = n + 1, total + values, squares + values**2
    variance: np.ndarray = (squares / n - (total / n) ** 2).sum(axis=2)
    return variance


def busiest(values: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Upper and left edge of the window of a size with the highest sum; where all are equal, that in the middle.

    >>> values = np.zeros((8, 9))
    >>> values[6, 7] = 1
    >>> busiest(values, 2, 2), busiest(np.zeros((8, 9)), 2, 2)
    ((5, 6), (3, 3))
    """
    sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    found = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    if np.ptp(found) <= 1e-9 * max(1.0, abs(float(sums[-1, -1]))):
        return (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    y, x = np.unravel_index(int(found.argmax()), found.shape)
    return int(y), int(x)


def framed(image_uint8: np.ndarray, window: Window, side: int) -> np.ndarray:
    """A picture made smaller, at most ``side`` pixels high and wide, with a frame around the window.

    >>> framed(np.zeros((512, 768, 3), np.uint8), Window(0, 0, 128, 128), 192).shape
    (128, 192, 3)
    """
    image = Image.fromarray(image_uint8)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    scale = image.width / image_uint8.shape[1]
    ends = (window.x, window.y, window.x + window.width, window.y + window.height)
    left, top, right, bottom = (round(end * scale) for end in ends)
    draw = ImageDraw.Draw(image)
    for inset, colour in ((0, "black"), (1, "white"), (2, "white"), (3, "black")):
        box = (left + inset, top + inset, right - 1 - inset, bottom - 1 - inset)
        if box[0] < box[2] and box[1] < box[3]:
            draw.rectangle(box, outline=colour)
    return np.asarray(image)
