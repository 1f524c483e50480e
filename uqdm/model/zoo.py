"""Models by name: those that the package ships."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from uqdm.model.checkpoint import CONFIG, CheckpointError, Model, load

SHIPPED = Path(__file__).parent.parent / "pretrained"


def shipped_names() -> list[str]:
    """Names of the models inside the package."""
    return sorted(folder.parent.name for folder in SHIPPED.glob(f"*/{CONFIG}"))


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a shipped model or of a path; raises :class:`uqdm.model.checkpoint.CheckpointError`."""
    if str(name_or_path) in shipped_names():
        return SHIPPED / str(name_or_path)
    if Path(name_or_path).is_dir():
        return Path(name_or_path)
    near = difflib.get_close_matches(str(name_or_path), shipped_names(), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise CheckpointError(
        f"no model {str(name_or_path)!r}{hint}: it is neither a folder nor shipped; "
        f"shipped models: {', '.join(shipped_names())}"
    )


def load_named(name_or_path: str | os.PathLike[str], weights: str = "ema") -> Model:
    """Loads a model by name or path (see :func:`uqdm.model.checkpoint.load`)."""
    return load(find(name_or_path), weights)
