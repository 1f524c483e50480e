"""Reads checkpoints of the three architectures: CompressAI's files (``.pth.tar``, ``.pth``, ``.pt``), or safetensors.

The architecture and the numbers of channels come from the tensors. No file can run code: ``torch.load`` reads tensors
alone (``weights_only=True``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from baselines.hyperprior.networks import FACTORIZED, MEAN_SCALE, SCALE, Shape, Transforms
from baselines.hyperprior.prior import Prior, prior_of
from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import ParameterError

Tensors = Mapping[str, torch.Tensor]

_BOTTLENECK = "entropy_bottleneck."
_NOT_OF_TRANSFORMS = ("entropy_bottleneck.", "gaussian_conditional.")
_CONSTANTS = re.compile(r"_reparam\.(pedestal|lower_bound\.bound)$")  # of GDN: the same in every checkpoint
_LISTED = {"matrices": "_matrix", "biases": "_bias", "factors": "_factor"}
_SOURCE = "expected a checkpoint of bmshj2018-factorized, bmshj2018-hyperprior or mbt2018-mean, as CompressAI saves it"


@dataclass(frozen=True)
class Model:
    """A model ready to code: transforms in evaluation mode, factorized prior, and the digest of all that files use."""

    name: str
    transforms: Transforms
    prior: Prior
    sha256: str

    @property
    def shape(self) -> Shape:
        """Architecture and channels."""
        return self.transforms.shape

    @property
    def device(self) -> torch.device:
        """Where the transforms run."""
        return next(self.transforms.parameters()).device


def load(path: Path) -> Model:
    """The model of a checkpoint file; raises :class:`uqdm.codec.ParameterError`, which names the file."""
    if not path.is_file():
        raise ParameterError(f"checkpoint={str(path)!r}: no such file; {_SOURCE}")
    try:
        return model_of(path.name, read_tensors(path))
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        reason = f"tensor {error} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise ParameterError(f"checkpoint={str(path)!r}: {reason}; {_SOURCE}") from error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name; raises ValueError for a file that has none."""
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except safetensors.SafetensorError as error:
            raise ValueError(f"not a safetensors file ({error})") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are no checkpoints
        raise ValueError(f"torch cannot read it without running code ({type(error).__name__})") from error
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError("it holds no tensors by name")
    return dict(found)


def model_of(name: str, tensors: Tensors) -> Model:
    """The model of tensors by name; raises KeyError, ValueError or RuntimeError for those of another architecture."""
    named = {_today(key): value for key, value in tensors.items()}
    shape = shape_of(named)
    weights = {
        key: value.float()
        for key, value in named.items()
        if not key.startswith(_NOT_OF_TRANSFORMS) and not _CONSTANTS.search(key)
    }
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise ValueError("its weights are not finite")
    with float32_arithmetic():
        transforms = Transforms(shape)
        transforms.load_state_dict(weights)
    if shape.architecture != FACTORIZED:
        transforms.h_s.double()  # see baselines.hyperprior.latents
    own = {key.removeprefix(_BOTTLENECK): value.numpy() for key, value in named.items() if key.startswith(_BOTTLENECK)}
    prior = prior_of(own)
    if prior.medians.size != shape.bottleneck:
        raise ValueError(f"its factorized prior has {prior.medians.size} channels, not {shape.bottleneck}")
    return Model(name, transforms.eval().requires_grad_(False), prior, _digest(shape, weights, prior))


def shape_of(tensors: Tensors) -> Shape:
    """Architecture and channels by the shapes of tensors; raises KeyError or ValueError."""
    if any(key.startswith("context_prediction.") for key in tensors):
        raise ValueError("it has a context model, which is not supported")
    m, n = tensors["g_a.6.weight"].shape[:2]
    if not any(key.startswith("h_s.") for key in tensors):
        return Shape(FACTORIZED, n, m)
    outputs = tensors["h_s.4.weight"].shape[0]
    if outputs not in (m, 2 * m):
        raise ValueError(f"its hyperprior has {outputs} outputs for {m} latents")
    return Shape(SCALE if outputs == m else MEAN_SCALE, n, m)


def _today(key: str) -> str:
    """The name of a tensor, with those of parallel training and of the prior's lists put into one form."""
    key = key.removeprefix("module.")
    listed = re.fullmatch(r"entropy_bottleneck\._?(matrices|biases|factors)\.(\d)", key)
    return f"{_BOTTLENECK}{_LISTED[listed[1]]}{listed[2]}" if listed else key


def _digest(shape: Shape, weights: Tensors, prior: Prior) -> str:
    found = hashlib.sha256(f"{shape}\n".encode())
    for key, value in sorted(weights.items()):
        found.update(f"{key} {list(value.shape)}\n".encode())
        found.update(value.numpy().astype("<f4").tobytes())
    for table in (prior.frequencies.edges, prior.frequencies.starts, prior.frequencies.firsts):
        found.update(np.ascontiguousarray(table, "<i8").tobytes())
    found.update(prior.medians.astype("<f4").tobytes())
    return found.hexdigest()
