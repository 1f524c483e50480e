"""What a source of training data is, and the files that sources read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}

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
    """The image files below a folder, in order; raises :class:`TrainingDataError` if there are none."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise TrainingDataError(f"{folder}: no images found (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return files


def open_image(file: Path) -> Image.Image:
    """Reads an image file as RGB; raises :class:`TrainingDataError`."""
    try:
        with Image.open(file) as opened:
            return opened.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise TrainingDataError(f"{file}: not a readable image ({error}); remove it") from error
