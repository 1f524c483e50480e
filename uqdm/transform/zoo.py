"""Models of transform coding by name: those inside the package, model folders, and checkpoints of CompressAI."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.model.files import CONFIG, TRANSFORM_FORMAT, WEIGHTS, CheckpointError, format_of
from uqdm.model.hub import hub_folder, is_hub_name, pinned_name
from uqdm.model.identity import Identity
from uqdm.model.zoo import SHIPPED, is_model, shipped_names, shipped_transforms
from uqdm.paths import absolute_text, expand_path
from uqdm.transform.quantization import ROUNDING

if TYPE_CHECKING:
    from uqdm.transform.model import Model

MODEL_HELP = (
    "name of a shipped model of transform coding, path of a model folder or of a checkpoint of CompressAI, or "
    "hf:OWNER/NAME"
)


def find(name_or_path: str) -> Path:
    """A folder or a checkpoint file; raises :class:`uqdm.model.files.CheckpointError`."""
    if name_or_path in shipped_transforms():
        return SHIPPED / name_or_path
    if name_or_path in shipped_names():
        raise CheckpointError(f"{name_or_path} is a model of UQDM: use it as uqdm:model={name_or_path}")
    path = hub_folder(name_or_path) if is_hub_name(name_or_path) else expand_path(name_or_path, "model")
    if path.is_dir() and is_model(path) and format_of(path) != TRANSFORM_FORMAT:
        raise CheckpointError(f"{path} is no model of transform coding; if it is one of UQDM: uqdm:model={path}")
    if path.exists() or "/" in name_or_path or "." in name_or_path:
        return path
    near = difflib.get_close_matches(name_or_path, shipped_transforms(), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    known = ", ".join(shipped_transforms()) or "none is shipped"
    raise CheckpointError(
        f"no model {name_or_path!r}{hint}: it is neither a folder nor a file nor known; known: {known}"
    )


def absolute_name(name_or_path: str) -> str:
    """A name of the model for any working directory: that of a shipped one, else the absolute path.

    That of a model of the hub has its commit (:func:`uqdm.model.hub.pinned_name`).
    """
    if is_hub_name(name_or_path):
        return pinned_name(name_or_path)
    if name_or_path in shipped_transforms() or name_or_path in shipped_names():
        return name_or_path
    is_path = "/" in name_or_path or "." in name_or_path or name_or_path.startswith("~") or Path(name_or_path).exists()
    return absolute_text(name_or_path) if is_path else name_or_path


def stamps(path: Path) -> tuple[tuple[int, int], ...]:
    """Sizes and times of a model's files, so that changed ones are read again."""
    files = [path / CONFIG, path / WEIGHTS] if path.is_dir() else [path]
    found = [file.stat() for file in files if file.is_file()]
    return tuple((one.st_size, one.st_mtime_ns) for one in found)


def load_named(name_or_path: str, quantization: str = ROUNDING) -> Model:
    """Loads a model for a quantization; raises :class:`uqdm.model.files.CheckpointError`."""
    from uqdm.transform import checkpoint, folder  # torch takes seconds to import

    found = find(name_or_path)
    return folder.load(found, quantization) if found.is_dir() else checkpoint.load(found, quantization)


def identify(name_or_path: str, quantization: str = ROUNDING) -> Identity:
    """Name and digest as loading the model would give; without torch for a folder."""
    from uqdm.transform import identity  # compiled functions take half a second to import

    found = find(name_or_path)
    if found.is_dir():
        return identity.identify(found, quantization)
    model = load_named(name_or_path, quantization)
    return Identity(model.name, model.sha256)


__all__ = [
    "MODEL_HELP",
    "CheckpointError",
    "absolute_name",
    "find",
    "identify",
    "load_named",
    "shipped_transforms",
    "stamps",
]
