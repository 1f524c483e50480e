"""The identity of a model of the process in bands, without torch, which takes seconds to import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.model.config import read_checked
from uqdm.model.files import BANDED_FORMAT, WEIGHTS, CheckpointError, name_of
from uqdm.model.identity import Identity


def description(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a configuration that a model's files depend on."""
    return {key: config[key] for key in ("image_size", "banded")}


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

    config, file = read_checked(folder, BANDED_FORMAT), folder / WEIGHTS
    try:
        tensors = load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: not a safetensors file ({error})") from error
    return Identity(name_of(folder), digest(description(config), tensors.items()))
