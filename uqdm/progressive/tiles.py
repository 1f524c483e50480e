"""Cuts images of any size into rows of square tiles, and joins tiles."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def count(height: int, width: int, size: int) -> int:
    """Number of tiles of an image.

    >>> count(65, 64, 64)
    2
    """
    return -(-height // size) * -(-width // size)


def cut(image_uint8: np.ndarray, size: int, positions: Iterable[int]) -> np.ndarray:
    """Cuts tiles [n, size, size, 3] out of [H, W, 3], at positions counted row by row.

    Tiles beyond the image's edge repeat its last row and column of pixels.

    >>> cut(np.zeros((65, 10, 3), np.uint8), 64, range(2)).shape
    (2, 64, 64, 3)
    """
    return np.stack([_tile(image_uint8, size, position) for position in positions])


def _tile(image_uint8: np.ndarray, size: int, position: int) -> np.ndarray:
    row, column = divmod(position, -(-image_uint8.shape[1] // size))
    piece = image_uint8[row * size : (row + 1) * size, column * size : (column + 1) * size]
    return np.pad(piece, ((0, size - piece.shape[0]), (0, size - piece.shape[1]), (0, 0)), mode="edge")


def join(tiles_uint8: np.ndarray, height: int, width: int) -> np.ndarray:
    """The reverse of :func:`cut`: tiles [n, size, size, 3] to [height, width, 3]."""
    size = tiles_uint8.shape[1]
    columns = -(-width // size)
    rows = len(tiles_uint8) // columns
    grid = tiles_uint8.reshape(rows, columns, size, size, 3).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * size, columns * size, 3)[:height, :width])


def to_coordinates(tiles_uint8: np.ndarray) -> np.ndarray:
    """Levels of tiles [n, H, W, 3] in the order of coding, channel by channel: int64 [n, 3 H W]."""
    return tiles_uint8.transpose(0, 3, 1, 2).reshape(len(tiles_uint8), -1).astype(np.int64)


def from_coordinates(levels: np.ndarray, size: int) -> np.ndarray:
    """The reverse of :func:`to_coordinates`: uint8 [n, size, size, 3]."""
    return np.ascontiguousarray(levels.reshape(-1, 3, size, size).transpose(0, 2, 3, 1).astype(np.uint8))
