"""The files of a model folder: their names, atomic writing, and the error of files that cannot be read."""

from __future__ import annotations

from pathlib import Path

from uqdm.files import write_bytes
from uqdm.model import schema

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
"""Weights in the project's own layout."""
PUBLISHED_WEIGHTS = "checkpoint.pt"
"""Weights in the published layout."""
TRANSFORM_FORMAT = "uqdm-transform-1"
"""The ``format`` in the configuration of a model of transform coding (:mod:`uqdm.transform`)."""
BANDED_FORMAT = "uqdm-banded-1"
"""The ``format`` in the configuration of a model of a process in bands (:mod:`uqdm.banded`)."""
REFINE_FORMAT = "uqdm-refine-1"
"""The ``format`` in the configuration of a model of a second stage (:mod:`uqdm.refine`)."""
WEIGHTS_CHOICES = ("ema", "as-released")
"""The weights that a published checkpoint holds: averages, and raw ones."""


class CheckpointError(ValueError):
    """A model folder cannot be read. The message names the file and the remedy."""


def name_of(folder: Path) -> str:
    """The name of a folder's model: that of the folder; of a commit in the cache of huggingface_hub, the repository's.

    >>> name_of(Path("models/mine")), name_of(Path("hub/models--owner--theirs/snapshots/0123abcd"))
    ('mine', 'theirs')
    """
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name


def format_of(folder: Path) -> str | None:
    """The ``format`` of a folder's configuration; None if it has none that can be read."""
    try:
        found = schema.read_json(folder / CONFIG).get("format")
    except (OSError, schema.SchemaError):
        return None
    return found if isinstance(found, str) else None


def write_file(path: Path, data: bytes) -> None:
    """Replaces a file atomically; see :func:`uqdm.files.replacing`."""
    write_bytes(path, data)
