"""Reads the original images of a data set: what fails is tried again, and stays a fault of that image alone."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from uqdm.bench.datasets import Images
from uqdm.codec import check_images
from uqdm.text import error_line

_TRIES = 3
"""How often an image is read that gives an error: a file server may be away for a moment."""
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Unreadable:
    """Stands for an image that could not be read, with the reason."""

    reason: str
    nbytes = 0


OriginalImage = np.ndarray | Unreadable
"""An image, uint8 [H, W, 3], or why it could not be read."""


def read_originals(dataset: Images, indices: range) -> list[OriginalImage]:
    """The images of these indices; one that cannot be read is :class:`Unreadable`, and the others are read."""
    return [_read(dataset, index) for index in indices]


def _read(dataset: Images, index: int) -> OriginalImage:
    for number in range(_TRIES):
        if number:
            time.sleep(_PAUSE_SECONDS)
        try:
            image = dataset.load(index)
            check_images([image])
            return image
        except (OSError, ValueError) as error:
            reason = f"cannot be read: {error_line(error)}"
    return Unreadable(reason)
