"""Reads the original images of a data set. A failed read is tried again; a read error affects only its image."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from uqdm.bench.datasets import Images
from uqdm.codec import check_images
from uqdm.text import error_line

_TRIES = 3
"""How often a failing image is read: a file server may be unavailable for a moment."""
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read, with the reason."""

    reason: str
    nbytes = 0


OriginalImage = np.ndarray | Unreadable
"""An image, uint8 [H, W, 3], or the reason why it could not be read."""


def read_originals(dataset: Images, indices: range) -> list[OriginalImage]:
    """The images of these indices; :class:`Unreadable` for each that cannot be read."""
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
