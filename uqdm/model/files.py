"""The files of a model folder: their names, atomic writing, and the error of files that cannot be read."""

from __future__ import annotations

from pathlib import Path

from uqdm.files import write_bytes

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
"""Weights in the project's own layout."""
PUBLISHED_WEIGHTS = "checkpoint.pt"
"""Weights in the published layout."""
WEIGHTS_CHOICES = ("ema", "as-released")
"""The weights that a published checkpoint holds: averages, and raw ones."""


class CheckpointError(ValueError):
    """A model folder cannot be read. The message names the file and the remedy."""


def write_file(path: Path, data: bytes) -> None:
    """Replaces a file atomically; see :func:`uqdm.files.replacing`."""
    write_bytes(path, data)
