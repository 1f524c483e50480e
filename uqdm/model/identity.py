"""The identity of a model: its name, and the digest of its configuration and weights as loaded.

For a folder of the project's own layout it is determined without torch, which takes seconds to import.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.model.config import check_own, read_config
from uqdm.model.files import CONFIG, WEIGHTS, CheckpointError, name_of
from uqdm.model.schedule import Schedule

_DESCRIBING = ("image_size", "denoiser", "density", "process", "levels")  # keys that files of a model depend on


@dataclass(frozen=True)
class Identity:
    """A model's name, and the digest that :attr:`uqdm.model.checkpoint.Model.sha256` describes."""

    name: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name} sha256:{self.sha256[:16]}"


def schedule_of(config: dict[str, Any]) -> Schedule:
    """The schedule of a configuration."""
    return Schedule(**{key: config["schedule"][key] for key in ("slope", "gamma_max", "n_steps")})


def described(config: dict[str, Any]) -> dict[str, Any]:
    """The parts of a configuration, besides the schedule, that a model's files depend on."""
    return {key: config[key] for key in _DESCRIBING if key in config}


def digest(schedule: Schedule, description: dict[str, Any], tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """The digest of a schedule, a description and tensors by name, whose values count as float32."""
    found = hashlib.sha256(f"{schedule!r} {json.dumps(description, sort_keys=True)}\n".encode())
    for name, values in sorted(tensors, key=lambda item: item[0]):
        found.update(f"{name} {list(values.shape)}\n".encode())
        found.update(values.astype("<f4").tobytes())
    return found.hexdigest()


def own_identity(folder: Path) -> Identity | None:
    """The identity of a folder in the project's own layout, without torch; None for a folder of another layout.

    Reads configuration and weights, but does not build the network: whether the weights fit it is not checked. None
    also if the weights have a type that NumPy lacks. Raises :class:`uqdm.model.files.CheckpointError`.
    """
    import safetensors
    from safetensors.numpy import load_file

    weights = folder / WEIGHTS
    if not weights.is_file():
        return None
    config = read_config(folder)
    check_own(config, str(folder / CONFIG))
    try:
        tensors = load_file(weights)
    except (KeyError, TypeError):  # a type such as bfloat16
        return None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{weights}: not a safetensors file ({error})") from error
    return Identity(name_of(folder), digest(schedule_of(config), described(config), tensors.items()))
