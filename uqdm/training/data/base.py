"""The contract of a source of training data, and reading of image files for sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from uqdm.images import ImageError, image_names, read_image

DrawnBatch = Sequence[Any]
"""The random choices of a batch that is not read yet: one item for each sample. Parts of it give parts of the batch."""


class TrainingDataError(ValueError):
    """Training data cannot be used. The message names the folder, file or array."""


class Source(Protocol):
    """A source of samples. All randomness is in :meth:`draw`, so that workers can each read a part of a batch."""

    is_slow: bool
    """Whether batches should be read ahead, while the network computes."""

    def __len__(self) -> int:
        """Number of tiles, images or points to draw from; 0 where every draw is new."""

    def draw(self, n: int, size: int, rng: np.random.Generator) -> DrawnBatch:
        """Draws a batch of ``n`` samples of ``size`` pixels a side."""

    def load(self, drawn: DrawnBatch) -> Any:
        """Reads a drawn batch or a part of one: uint8 [len(drawn), size, size, C], or what else the objective takes."""


def image_files(folder: Path) -> list[Path]:
    """The image files below a folder in order: the same as ``folder:PATH`` of the benchmark takes.

    Raises :class:`TrainingDataError` if there are none, or the folder cannot be listed.
    """
    try:
        files = sorted(folder / name for name in image_names(folder))
    except (ValueError, OSError) as error:
        raise TrainingDataError(str(error)) from error
    if not files:
        raise TrainingDataError(f"{folder}: no images found")
    return files


def open_image(file: Path) -> Image.Image:
    """Reads an image file as RGB, by the rule of :func:`uqdm.images.read_image`; raises :class:`TrainingDataError`."""
    try:
        return Image.fromarray(read_image(file))
    except ImageError as error:
        raise TrainingDataError(f"{error}. Remove, repair or convert it") from error
