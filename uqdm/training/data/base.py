"""What a source of training data is, and the files that sources read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from uqdm.images import ImageError, image_names, read_image

Plan = Sequence[Any]
"""A batch that is drawn but not read yet: one item a sample."""


class TrainingDataError(ValueError):
    """Training data cannot be used. The message names the folder, file or array."""


class Source(Protocol):
    """Where samples come from. All that is random happens in :meth:`plan`, so that workers can share the reading."""

    is_slow: bool
    """Whether reading takes long enough to be done ahead, while the network works."""

    def __len__(self) -> int:
        """Number of tiles, images or points to draw from; 0 where every draw is new."""

    def plan(self, n: int, size: int, rng: np.random.Generator) -> Plan:
        """Draws a batch of ``n`` samples of ``size`` pixels a side."""

    def load(self, plan: Plan) -> np.ndarray:
        """Reads samples of a plan, or of a part of one: uint8 [len(plan), size, size, C]."""


def image_files(folder: Path) -> list[Path]:
    """The files below a folder, in order: those that ``folder:PATH`` of the benchmark takes.

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
