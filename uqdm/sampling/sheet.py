"""Samples on one picture."""

from __future__ import annotations

import math

import numpy as np

BACKGROUND = 255


def columns_of(n: int, columns: int | None) -> int:
    """Columns of a sheet: as many as rows, or as wanted; at most one for each picture.

    >>> columns_of(64, None), columns_of(5, None), columns_of(5, 9)
    (8, 3, 5)
    """
    return min(n, columns or math.ceil(math.sqrt(n)))


def sheet_size(n: int, size: int, columns: int) -> tuple[int, int]:
    """Width and height of the sheet of n pictures of a size, in pixels.

    >>> sheet_size(5, 64, 3)
    (192, 128)
    """
    return columns * size, -(-n // columns) * size


def sheet(pictures_uint8: np.ndarray, columns: int) -> np.ndarray:
    """Pictures [N, S, S, 3] row by row on a sheet, uint8 [H, W, 3]; places that are left over are white.

    >>> sheet(np.zeros((5, 2, 2, 3), np.uint8), 3)[:, :, 0].tolist()
    [[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 255, 255], [0, 0, 0, 0, 255, 255]]
    """
    n, size = pictures_uint8.shape[:2]
    width, height = sheet_size(n, size, columns)
    found = np.full((height, width, 3), BACKGROUND, np.uint8)
    for index, picture in enumerate(pictures_uint8):
        top, left = index // columns * size, index % columns * size
        found[top : top + size, left : left + size] = picture
    return found
