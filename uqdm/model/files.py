"""Atomic writing of model files, and the error of files that cannot be read."""

from __future__ import annotations

from pathlib import Path

from uqdm.files import write_bytes


class CheckpointError(ValueError):
    """A model folder cannot be read. The message names the file and the remedy."""


def write_file(path: Path, data: bytes) -> None:
    """Replaces a file atomically; see :func:`uqdm.files.replacing`."""
    write_bytes(path, data)
