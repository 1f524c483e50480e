"""Training data: ``folder:PATH``, ``npz:PATH[#KEY]`` and ``swirl``, as random box-resized crops with flips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from uqdm.training.config import Data
from uqdm.training.data.arrays import Arrays, open_arrays
from uqdm.training.data.base import Plan, Source, TrainingDataError, image_files, open_image
from uqdm.training.data.boxes import Boxes
from uqdm.training.data.feed import Feed
from uqdm.training.data.swirl import Swirl
from uqdm.training.data.tiles import Tiles, random_crops, random_tiles

__all__ = [
    "Feed",
    "Plan",
    "Source",
    "TrainingDataError",
    "open_source",
    "random_crops",
    "random_tiles",
]


def open_source(data: Data, size: int) -> Source:
    """Opens what a configuration names, for a model of ``size`` pixels; raises :class:`TrainingDataError`."""
    kind, _, argument = (data.source or "").partition(":")
    if kind == "swirl":
        return Swirl()
    if kind == "folder":
        return _folder(argument, data, size)
    if kind == "npz":
        return _npz(argument, data, size)
    raise TrainingDataError(
        f"training data {data.source!r}: expected folder:PATH, npz:PATH[#KEY] or swirl, in the configuration "
        "(data.source) or by --images"
    )


def _folder(argument: str, data: Data, size: int) -> Source:
    folder = Path(argument).expanduser()
    if not folder.is_dir():
        raise TrainingDataError(f"folder:{argument}: no such folder")
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


def _boxes(n: int, read: Callable[[int], Image.Image], data: Data, size: int) -> Source:
    return Boxes(n, read, size, smallest=data.smallest_box, threads=data.threads, flips=data.flips)
