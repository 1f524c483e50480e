"""A model of the process in bands, and its folder: ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.banded.network import BandedNetworks
from uqdm.banded.schedule import BandSchedule
from uqdm.model import schema
from uqdm.model.banded_identity import description, digest
from uqdm.model.config import MAX_WEIGHTS, read_checked
from uqdm.model.files import BANDED_FORMAT, CONFIG, WEIGHTS, CheckpointError, name_of, write_file
from uqdm.model.identity import Identity
from uqdm.model.weights import fill


@dataclass(frozen=True, eq=False)
class BandedModel:
    """Networks in evaluation mode, with the configuration and the digest of all that files depend on."""

    name: str
    networks: BandedNetworks
    config: Mapping[str, Any]
    sha256: str

    @property
    def schedule(self) -> BandSchedule:
        """The noise levels."""
        return self.networks.schedule

    @property
    def image_size(self) -> int:
        """Side of a tile, in pixels."""
        return int(self.config["image_size"])

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(value.numel() for value in self.networks.parameters())

    @property
    def identity(self) -> Identity:
        """Name and digest."""
        return Identity(self.name, self.sha256)


@float32_arithmetic()
def load(folder: Path) -> BandedModel:
    """The model of a folder; raises :class:`uqdm.model.files.CheckpointError`, which names the file."""
    config = read_checked(folder, BANDED_FORMAT)
    try:
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: not a safetensors file ({error})") from error
    networks = build(config, str(folder / CONFIG), n_weights=sum(value.numel() for value in tensors.values()))
    fill(networks, tensors, folder / WEIGHTS)
    return in_memory(name_of(folder), config, networks)


def build(config: Mapping[str, Any], where: str, *, n_weights: int | None = None) -> BandedNetworks:
    """New networks of a configuration; raises as :func:`checked_schedule`, before memory is allocated."""
    return _networks(checked_schedule(config, where, n_weights=n_weights), config)


def checked_schedule(config: Mapping[str, Any], where: str, *, n_weights: int | None = None) -> BandSchedule:
    """The schedule of a configuration; raises :class:`uqdm.model.files.CheckpointError` for one that is not valid.

    With ``n_weights``, one that describes another number of values is not valid either. No memory is allocated.
    """
    try:
        schema.check(dict(config), "banded.json", where)
        schedule = BandSchedule(tuple(map(float, config["banded"]["sigmas"])), config["banded"]["pixel_width"])
    except (schema.SchemaError, ValueError) as error:
        message = str(error)
        raise CheckpointError(message if message.startswith(where) else f"{where}: banded: {message}") from error
    with torch.device("meta"):
        wanted = sum(value.numel() for value in _networks(schedule, config).parameters())
    if wanted > MAX_WEIGHTS:
        raise CheckpointError(f"{where}: banded: describes {wanted} weights, more than {MAX_WEIGHTS}")
    if n_weights is not None and wanted != n_weights:
        raise CheckpointError(f"{where}: it describes {wanted} values, and {WEIGHTS} holds {n_weights}")
    return schedule


def _networks(schedule: BandSchedule, config: Mapping[str, Any]) -> BandedNetworks:
    described = config["banded"]
    return BandedNetworks(schedule, bands=described.get("bands"), late=described.get("late", ({}, {})))


def in_memory(name: str, config: Mapping[str, Any], networks: BandedNetworks) -> BandedModel:
    """A model of networks that are not trained any more."""
    networks = networks.eval().requires_grad_(False)
    return BandedModel(name, networks, dict(config), digest(description(config), _arrays(networks)))


def _arrays(networks: BandedNetworks) -> Iterable[tuple[str, np.ndarray]]:
    return ((name, value.detach().cpu().float().numpy()) for name, value in networks.state_dict().items())


@float32_arithmetic()
def save(folder: Path, config: Mapping[str, Any], networks: BandedNetworks, *, half: bool) -> None:
    """Writes a folder, the weights last; ``half`` stores them as float16."""
    kept = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(kept).contiguous() for name, value in networks.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / CONFIG, (json.dumps({**config, "format": BANDED_FORMAT}, indent=2) + "\n").encode())
    write_file(folder / WEIGHTS, safetensors.torch.save(tensors))


__all__ = ["BandedModel", "build", "checked_schedule", "in_memory", "load", "save"]
