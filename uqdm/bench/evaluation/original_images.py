"""Reads the original images of a data set. A failed read is tried again; a read error affects only its image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from uqdm.bench.datasets import Images
from uqdm.codec import check_images
from uqdm.images.changes import SEPARATOR, changes_note, changes_text
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


def changes_of_originals(dataset: Images, indices: range) -> dict[int, str]:
    """What reading changed, as in the column ``original_changes``, of the images of which that is known."""
    changes_of: Callable[[int], Iterable[str] | None] | None = getattr(dataset, "changes", None)
    found: dict[int, str] = {}
    if changes_of is None:
        return found
    for index in indices:
        try:
            changes = changes_of(index)
        except (OSError, ValueError):  # its rows have the reason
            continue
        if changes is not None:
            found[index] = changes_text(changes)
    return found


def changes_notes(dataset: Images) -> list[str]:
    """For each kind of change, how many images of a data set it applies to, and which."""
    by_change: dict[str, list[str]] = {}
    for index, text in changes_of_originals(dataset, range(len(dataset))).items():
        for change in filter(None, text.split(SEPARATOR)):
            by_change.setdefault(change, []).append(dataset.ids[index])
    return [changes_note(change, names, len(dataset)) for change, names in by_change.items()]


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
