"""Files of models: whole or not there, and the error of those that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path


class CheckpointError(ValueError):
    """A model folder cannot be read. The message names the file and the remedy."""


def write_file(path: Path, data: bytes) -> None:
    """Writes under a name of its own, then renames: a reader finds the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)
