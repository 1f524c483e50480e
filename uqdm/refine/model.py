"""A model of a second stage, and its folder: ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.model import schema
from uqdm.model.config import MAX_WEIGHTS, read_checked
from uqdm.model.files import CONFIG, REFINE_FORMAT, WEIGHTS, CheckpointError, name_of, write_file
from uqdm.model.identity import Identity
from uqdm.model.weights import fill
from uqdm.refine.conditions import LATENTS
from uqdm.refine.identity import description, digest
from uqdm.refine.network import RefineNetwork


@dataclass(frozen=True, eq=False)
class RefineModel:
    """A network in evaluation mode, with its configuration and the digest of all that its pictures depend on."""

    name: str
    network: RefineNetwork
    config: Mapping[str, Any]
    sha256: str

    @property
    def condition(self) -> str:
        """What the network sees, one of :data:`uqdm.refine.conditions.KINDS`."""
        return str(self.config["refine"]["condition"])

    @property
    def codec(self) -> str:
        """Name of the codec whose pictures or latents it was trained on."""
        return str(self.config["refine"]["codec"])

    @property
    def identity(self) -> Identity:
        """Name and digest."""
        return Identity(self.name, self.sha256)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return next(self.network.parameters()).device


@float32_arithmetic()
def load(folder: Path) -> RefineModel:
    """The model of a folder; raises :class:`uqdm.model.files.CheckpointError`, which names the file."""
    config = read_checked(folder, REFINE_FORMAT)
    try:
        tensors = safetensors.torch.load_file(folder / WEIGHTS)
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder / WEIGHTS}: not a safetensors file ({error})") from error
    network = build(config, str(folder / CONFIG), n_weights=sum(value.numel() for value in tensors.values()))
    fill(network, tensors, folder / WEIGHTS)
    return in_memory(name_of(folder), config, network)


def build(config: Mapping[str, Any], where: str, *, n_weights: int | None = None) -> RefineNetwork:
    """A new network of a configuration.

    Raises :class:`uqdm.model.files.CheckpointError` for one that is not valid or, with ``n_weights``, describes another
    number of values; no memory is allocated before.
    """
    try:
        schema.check(dict(config), "refine.json", where)
    except schema.SchemaError as error:
        raise CheckpointError(str(error)) from error
    for fault in _faults(config):
        raise CheckpointError(f"{where}: refine: {fault}")
    with torch.device("meta"):
        wanted = sum(value.numel() for value in _network(config).parameters())
    if wanted > MAX_WEIGHTS:
        raise CheckpointError(f"{where}: refine: describes {wanted} weights, more than {MAX_WEIGHTS}")
    if n_weights is not None and wanted != n_weights:
        raise CheckpointError(f"{where}: it describes {wanted} values, and {WEIGHTS} holds {n_weights}")
    return _network(config)


def _faults(config: Mapping[str, Any]) -> list[str]:
    described = config["refine"]
    options, rates = described["network"], [rate for rate, _ in described["residual_scale"]]
    found = []
    if len(options["widths"]) != len(options["blocks"]):
        found.append("network: widths and blocks must have as many entries as one another")
    if config["image_size"] % (1 << (len(options["widths"]) - 1)):
        found.append(f"network: images of {config['image_size']} pixels cannot be halved so often")
    if options.get("latent_stride", 8) < 1 << (len(options["widths"]) - 1):
        found.append("network: latent_stride must be at least the stride of the lowest resolution")
    if (described["condition"] == LATENTS) != ("latent_channels" in options):
        found.append("network: latent_channels must be given for the condition latents, and only for it")
    if rates != sorted(set(rates)):
        found.append("residual_scale: rates must increase")
    return found


def _network(config: Mapping[str, Any]) -> RefineNetwork:
    return RefineNetwork(config["refine"]["residual_scale"], **config["refine"]["network"])


def in_memory(name: str, config: Mapping[str, Any], network: RefineNetwork) -> RefineModel:
    """A model of a network that is not trained any more."""
    network = network.eval().requires_grad_(False)
    arrays = ((key, value.detach().cpu().float().numpy()) for key, value in network.state_dict().items())
    return RefineModel(name, network, dict(config), digest(description(config), arrays))


@float32_arithmetic()
def save(folder: Path, config: Mapping[str, Any], network: RefineNetwork, *, half: bool) -> None:
    """Writes a folder, the weights last; ``half`` stores them as float16."""
    kept = torch.float16 if half else torch.float32
    tensors = {name: value.detach().cpu().to(kept).contiguous() for name, value in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / CONFIG, (json.dumps({**config, "format": REFINE_FORMAT}, indent=2) + "\n").encode())
    write_file(folder / WEIGHTS, safetensors.torch.save(tensors))
