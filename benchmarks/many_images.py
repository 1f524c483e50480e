"""Data sets of any size for the benchmarks, made of few images by flips and shifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from uqdm.bench.datasets import open_dataset

SHIFT = 5
"""Pixels that a copy is moved further than the one before, down and to the right, cyclically."""


def copy_of(image_uint8: np.ndarray, copy: int) -> np.ndarray:
    """Copy ``copy`` of an image [H, W, 3]: mirrored if odd, and moved cyclically by 5 pixels for each pair of copies.

    >>> copy_of(np.arange(12, dtype=np.uint8).reshape(1, 4, 3), 1)[0, :, 0].tolist()
    [9, 6, 3, 0]
    """
    mirrored = image_uint8[:, ::-1] if copy % 2 else image_uint8
    return np.roll(mirrored, copy // 2 * SHIFT, (0, 1))


def tile_data_set(spec: str, count: int, path: Path) -> str:
    """Writes ``count`` images, those of ``spec`` again and again as :func:`copy_of` says; returns the new one's spec.

    All must have one size. Images are written one by one, so that memory does not grow with ``count``.
    """
    dataset = open_dataset(spec)
    shape = dataset.load(0).shape
    images = open_memmap(path.with_suffix(".npy"), "w+", np.uint8, (count, *shape))
    for number in range(count):
        copy, index = divmod(number, len(dataset))
        images[number] = copy_of(dataset.load(index), copy)
    images.flush()
    np.savez(path, images=images)
    path.with_suffix(".npy").unlink()
    return f"npz:{path}"
