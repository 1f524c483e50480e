"""Tiles in memory: boxes of photographs, cut when training starts, or an array of images; crops of them with flips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from uqdm.training.data.arrays import Arrays
from uqdm.training.data.base import DrawnBatch, TrainingDataError, image_files, open_image


def random_tiles(
    folder: str | os.PathLike[str], size: int, *, boxes_per_image: int, seed: int, smallest_box: int = 80
) -> np.ndarray:
    """Cuts square boxes from every image under ``folder`` and box-resizes them: uint8 [N, size, size, 3].

    A quarter of the boxes span the image's short side, the rest have a side drawn from ``smallest_box`` up to it.
    Images with a short side below ``size`` are skipped. The same folder and seed give the same tiles. Raises
    :class:`uqdm.training.data.TrainingDataError`.
    """
    rng = np.random.default_rng(seed)
    files = image_files(Path(folder))
    tiles = [tile for file in files for tile in _tiles_of(file, size, boxes_per_image, smallest_box, rng)]
    if not tiles:
        raise TrainingDataError(f"{folder}: every image is smaller than tiles of {size} pixels")
    return np.stack(tiles)


def _tiles_of(file: Path, size: int, n: int, smallest: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    image = open_image(file)
    short = min(image.size)
    if short < size:
        return
    for _ in range(n):
        side = short if rng.random() < 0.25 else int(rng.integers(min(max(size, smallest), short), short + 1))
        left, top = int(rng.integers(image.width - side + 1)), int(rng.integers(image.height - side + 1))
        box = (left, top, left + side, top + side)
        yield np.asarray(image.resize((size, size), Image.Resampling.BOX, box=box))


@dataclass(frozen=True)
class Crop:
    """A square of one tile."""

    tile: int
    top: int
    left: int
    size: int
    mirrored: bool


class Tiles:
    """A source of random crops of tiles uint8 [N, S, S, C], maybe a memory map; with flips, half are mirrored."""

    is_slow = False

    def __init__(self, tiles_uint8: np.ndarray | Arrays, *, flips: bool = True):
        self._tiles, self._flips = tiles_uint8, flips

    def __len__(self) -> int:
        return len(self._tiles)

    def draw(self, n: int, size: int, rng: np.random.Generator) -> DrawnBatch:
        """Draws ``n`` crops of a size."""
        height, width = self._tiles.shape[1:3]
        crops = []
        for tile in rng.integers(len(self._tiles), size=n):
            top, left = rng.integers((height - size + 1, width - size + 1))
            crops.append(Crop(int(tile), int(top), int(left), size, bool(rng.random() < 0.5) and self._flips))
        return crops

    def load(self, drawn: DrawnBatch) -> np.ndarray:
        """The drawn crops, uint8 [len(drawn), size, size, C]."""
        return np.stack([self._cut(crop) for crop in drawn])

    def _cut(self, crop: Crop) -> np.ndarray:
        rows, columns = slice(crop.top, crop.top + crop.size), slice(crop.left, crop.left + crop.size)
        piece = self._tiles[crop.tile, rows, columns]
        return piece[:, ::-1] if crop.mirrored else piece
