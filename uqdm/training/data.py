"""Training data: random boxes of photographs, box-resized to the model's size, as crops with flips."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


class TrainingDataError(ValueError):
    """A training folder cannot be used. The message names the folder or file."""


def random_tiles(
    folder: str | os.PathLike[str], size: int, *, boxes_per_image: int, seed: int, smallest_box: int = 80
) -> np.ndarray:
    """Cuts square boxes from every image under ``folder`` and box-resizes them: uint8 [N, size, size, 3].

    A quarter of the boxes span the image's short side, the rest have a side drawn from ``smallest_box`` up to it.
        Images with a short side below ``size`` are left out. The same folder and seed give the same tiles. Raises
    :class:`TrainingDataError`.
    """
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise TrainingDataError(f"{folder}: no images found (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    rng = np.random.default_rng(seed)
    tiles = [tile for file in files for tile in _tiles_of(file, size, boxes_per_image, smallest_box, rng)]
    if not tiles:
        raise TrainingDataError(f"{folder}: every image is smaller than tiles of {size} pixels")
    return np.stack(tiles)


def _tiles_of(file: Path, size: int, n: int, smallest: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise TrainingDataError(f"{file}: not a readable image ({error}); remove it") from error
    short = min(image.size)
    if short < size:
        return
    for _ in range(n):
        side = short if rng.random() < 0.25 else int(rng.integers(min(max(size, smallest), short), short + 1))
        left, top = int(rng.integers(image.width - side + 1)), int(rng.integers(image.height - side + 1))
        box = (left, top, left + side, top + side)
        yield np.asarray(image.resize((size, size), Image.Resampling.BOX, box=box))


def random_crops(tiles_uint8: np.ndarray, batch: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draws ``batch`` random crops [batch, size, size, 3], half of them mirrored left to right."""
    crops = np.empty((batch, size, size, 3), np.uint8)
    for crop, index in zip(crops, rng.integers(len(tiles_uint8), size=batch), strict=True):
        top, left = rng.integers(tiles_uint8.shape[1] - size + 1, size=2)
        piece = tiles_uint8[index, top : top + size, left : left + size]
        crop[:] = piece[:, ::-1] if rng.random() < 0.5 else piece
    return crops
