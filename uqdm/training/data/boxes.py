"""Boxes of photographs that are read during training, for sets that do not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from uqdm.training.data.base import DrawnBatch, TrainingDataError


@dataclass(frozen=True)
class BoxDraw:
    """A sample before its image is read: numbers in [0, 1) for the box's side and position and the crop's position."""

    image: int
    size: int
    whole: float
    side: float
    box: tuple[float, float]
    crop: tuple[float, float]
    mirrored: bool


class Boxes:
    """A source that cuts a random square box of a random image for each sample, and box-resizes it.

    Boxes have the distribution of :func:`uqdm.training.data.tiles.random_tiles`, but are drawn anew for each batch.
    ``read`` returns image ``index`` as RGB. Loading an image whose short side is below the tile's raises
    :class:`TrainingDataError`.
    """

    is_slow = True

    def __init__(
        self,
        n_images: int,
        read: Callable[[int], Image.Image],
        tile_size: int,
        *,
        smallest: int,
        threads: int,
        flips: bool,
    ):
        self._n_images, self._read, self._tile_size, self._smallest = n_images, read, tile_size, smallest
        self._flips, self._pool = flips, ThreadPoolExecutor(max(1, threads))

    def __len__(self) -> int:
        return self._n_images

    def draw(self, n: int, size: int, rng: np.random.Generator) -> DrawnBatch:
        """Draws ``n`` boxes, with crops of a size."""
        images, numbers = rng.integers(self._n_images, size=n), rng.random((n, 7))
        return [
            BoxDraw(int(image), size, row[0], row[1], (row[2], row[3]), (row[4], row[5]), self._flips and row[6] < 0.5)
            for image, row in zip(images, numbers.tolist(), strict=True)
        ]

    def load(self, drawn: DrawnBatch) -> np.ndarray:
        """Reads the drawn boxes, several at once; uint8 [len(drawn), size, size, 3]."""
        return np.stack(list(self._pool.map(self._cut, drawn)))

    def _cut(self, draw: BoxDraw) -> np.ndarray:
        image, tile = self._read(draw.image), self._tile_size
        short = min(image.size)
        if short < tile:
            raise TrainingDataError(
                f"image {draw.image} has a short side of {short} pixels, below the model's {tile}: remove it, or cut "
                "boxes in advance (boxes_per_image), which leaves such images out"
            )
        smallest = min(max(tile, self._smallest), short)
        side = short if draw.whole < 0.25 else smallest + int(draw.side * (short + 1 - smallest))
        left, top = (int(u * (length - side + 1)) for u, length in zip(draw.box, image.size, strict=True))
        resized = image.resize((tile, tile), Image.Resampling.BOX, box=(left, top, left + side, top + side))
        row, column = (int(u * (tile - draw.size + 1)) for u in draw.crop)
        piece = np.asarray(resized)[row : row + draw.size, column : column + draw.size]
        return piece[:, ::-1] if draw.mirrored else piece
