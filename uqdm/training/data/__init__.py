"""Training data, as random box-resized crops with flips: folders, arrays, ``swirl``, and the benchmark's data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from uqdm.bench.datasets import open_dataset
from uqdm.paths import expand_path
from uqdm.training.config import Data
from uqdm.training.data.arrays import Arrays, open_arrays
from uqdm.training.data.base import DrawnBatch, Source, TrainingDataError, image_files, open_image
from uqdm.training.data.boxes import Boxes
from uqdm.training.data.feed import Feed
from uqdm.training.data.swirl import Swirl
from uqdm.training.data.tiles import Tiles, random_tiles

__all__ = [
    "DrawnBatch",
    "Feed",
    "Source",
    "TrainingDataError",
    "open_source",
    "random_tiles",
]


def open_source(data: Data, size: int) -> Source:
    """Opens the source that a configuration names, for models of ``size`` pixels; raises :class:`TrainingDataError`."""
    kind, _, argument = (data.source or "").partition(":")
    if kind == "swirl":
        return Swirl()
    if kind == "folder":
        return _folder(argument, data, size)
    if kind == "npz":
        return _npz(argument, data, size)
    if data.source is None:
        raise TrainingDataError(
            "no training data: name folder:PATH, npz:PATH[#KEY], swirl or a data set of the benchmark, as data.source "
            "in the configuration or by --images"
        )
    return _dataset(data.source, data, size)


def check_source(data: Data, size: int) -> None:
    """Raises :class:`TrainingDataError` where the source is not there. Pictures are not read."""
    kind, _, argument = (data.source or "").partition(":")
    if kind == "folder":
        _existing(argument)
    elif data.source is None or kind in ("swirl", "npz"):
        open_source(data, size)
    else:
        open_dataset(data.source)


def _existing(argument: str) -> Path:
    folder = expand_path(argument, "folder")
    if not folder.is_dir():
        raise TrainingDataError(f"folder:{argument}: no such folder; name one with photographs")
    return folder


def _folder(argument: str, data: Data, size: int) -> Source:
    folder = _existing(argument)
    if data.boxes_per_image is not None:
        boxes = {"boxes_per_image": data.boxes_per_image, "seed": data.seed, "smallest_box": data.smallest_box}
        return Tiles(random_tiles(folder, size, **boxes), flips=data.flips)
    files = image_files(folder)
    return _boxes(len(files), lambda index: open_image(files[index]), data, size)


def _npz(argument: str, data: Data, size: int) -> Source:
    arrays: Arrays = open_arrays(argument)
    side = arrays.shape[1]
    if side < size:
        raise TrainingDataError(f"npz:{argument}: images of {side} pixels are smaller than the model's {size}")
    if side == size:
        return Tiles(arrays, flips=data.flips)
    return _boxes(len(arrays), lambda index: Image.fromarray(arrays[index]), data, size)


def _dataset(spec: str, data: Data, size: int) -> Source:
    """A data set of the benchmark, as ``cifar10:#train``: read into memory."""
    dataset = open_dataset(spec)
    images = [dataset.load(index) for index in range(len(dataset))]
    if {image.shape[:2] for image in images} == {(size, size)}:
        return Tiles(np.stack(images), flips=data.flips)
    return _boxes(len(images), lambda index: Image.fromarray(images[index]), data, size)


def _boxes(n: int, read: Callable[[int], Image.Image], data: Data, size: int) -> Source:
    return Boxes(n, read, size, smallest=data.smallest_box, threads=data.threads, flips=data.flips)
