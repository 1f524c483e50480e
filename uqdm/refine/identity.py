"""The identity of a model of a second stage, and models by name; without torch, which takes seconds to import."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.model.config import read_checked
from uqdm.model.files import REFINE_FORMAT, WEIGHTS, CheckpointError, name_of
from uqdm.model.hub import hub_folder, is_hub_name, pinned_name
from uqdm.model.identity import Identity
from uqdm.model.zoo import SHIPPED, shipped_of
from uqdm.paths import absolute_text, expand_path
from uqdm.refine.conditions import PICTURE

MODEL_HELP = (
    "name of a shipped second stage, path of a model folder, or hf:OWNER/NAME; by default the shipped one for the codec"
)


def description(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a configuration that a model's pictures depend on."""
    kept = ("condition", "residual_scale", "network")
    return {"refine": {key: config["refine"][key] for key in kept}}


def digest(described: Mapping[str, Any], tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """The digest of a description and of tensors by name, whose values count as float32."""
    found = hashlib.sha256(f"{json.dumps(described, sort_keys=True)}\n".encode())
    for name, values in sorted(tensors, key=lambda item: item[0]):
        found.update(f"{name} {list(values.shape)}\n".encode())
        found.update(np.ascontiguousarray(values, "<f4").tobytes())
    return found.hexdigest()


def identify(folder: Path) -> Identity:
    """Name and digest of a folder's model, as loading it would give; whether the weights fit is not checked.

    Raises :class:`uqdm.model.files.CheckpointError`.
    """
    import safetensors
    from safetensors.numpy import load_file

    config, file = read_checked(folder, REFINE_FORMAT), folder / WEIGHTS
    try:
        tensors = load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: not a safetensors file ({error})") from error
    return Identity(name_of(folder), digest(description(config), tensors.items()))


def find(name_or_path: str) -> Path:
    """The folder of a shipped model, or of a path; raises :class:`uqdm.model.files.CheckpointError`."""
    names = shipped_of(REFINE_FORMAT)
    if name_or_path in names:
        return SHIPPED / name_or_path
    path = hub_folder(name_or_path) if is_hub_name(name_or_path) else expand_path(name_or_path, "model")
    if path.is_dir():
        return path
    near = difflib.get_close_matches(name_or_path, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    known = ", ".join(names) or "none is shipped"
    raise CheckpointError(f"no second stage {name_or_path!r}{hint}: it is neither a folder nor known; known: {known}")


def find_for(codec: str) -> Path:
    """The shipped model that was trained on a codec's streams; one that sees pictures, if there are several.

    Raises :class:`uqdm.model.files.CheckpointError` where there is none.
    """
    names = shipped_of(REFINE_FORMAT)
    described = {name: read_checked(SHIPPED / name, REFINE_FORMAT)["refine"] for name in names}
    found = [name for name in names if described[name]["codec"] == codec]
    if not found:
        known = ", ".join(sorted({str(one["codec"]) for one in described.values()})) or "no codec"
        raise CheckpointError(
            f"no second stage for {codec} is shipped (there are some for {known}): train one by `uqdm train` with a "
            "configuration such as config/train/hfd-bpg.yaml, and name its folder as model"
        )
    return SHIPPED / min(found, key=lambda name: described[name]["condition"] != PICTURE)


def absolute_name(name_or_path: str) -> str:
    """A name of the model for any working directory: that of a shipped one, else the absolute path; empty if empty.

    That of a model of the hub has its commit (:func:`uqdm.model.hub.pinned_name`).
    """
    if is_hub_name(name_or_path):
        return pinned_name(name_or_path)
    is_path = "/" in name_or_path or name_or_path.startswith("~") or Path(name_or_path).is_dir()
    return absolute_text(name_or_path) if is_path and name_or_path not in shipped_of(REFINE_FORMAT) else name_or_path
