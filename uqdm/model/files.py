"""Files of models: whole or not there, and the error of those that cannot be read."""

from __future__ import annotations

from pathlib import Path

from uqdm.files import write_bytes


class CheckpointError(ValueError):
    """A model folder cannot be read. The message names the file and the remedy."""


def write_file(path: Path, data: bytes) -> None:
    """A reader finds the old file or the whole new one; see :func:`uqdm.files.replacing`."""
    write_bytes(path, data)
