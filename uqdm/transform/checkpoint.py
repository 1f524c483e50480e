"""Reads checkpoints of the three hyperprior architectures as CompressAI saves them, or safetensors with its names.

The architecture and the numbers of channels come from the tensors. No file can run code: ``torch.load`` reads tensors
alone (``weights_only=True``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.model.files import CheckpointError
from uqdm.transform.hyperpriors import FACTORIZED, MEAN_SCALE, SCALE, HyperpriorTransforms, Shape
from uqdm.transform.model import Level, Model, model_of
from uqdm.transform.prior import prior_of
from uqdm.transform.quantization import ROUNDING

Tensors = Mapping[str, torch.Tensor]

_BOTTLENECK = "entropy_bottleneck."
_NOT_OF_TRANSFORMS = ("entropy_bottleneck.", "gaussian_conditional.")
_CONSTANTS = re.compile(r"_reparam\.(pedestal|lower_bound\.bound)$")  # of GDN: the same in every checkpoint
_LISTED = {"matrices": "_matrix", "biases": "_bias", "factors": "_factor"}
_SOURCE = "expected a checkpoint of bmshj2018-factorized, bmshj2018-hyperprior or mbt2018-mean, as CompressAI saves it"


def load(path: Path, quantization: str = ROUNDING) -> Model:
    """The model of a checkpoint file; raises :class:`uqdm.model.files.CheckpointError`, which names the file."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; {_SOURCE}")
    try:
        return model_of_tensors(path.name, read_tensors(path), quantization)
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        reason = f"tensor {error} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise CheckpointError(f"{path}: {reason}; {_SOURCE}") from error


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


def model_of_tensors(name: str, tensors: Tensors, quantization: str = ROUNDING) -> Model:
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
        transforms = HyperpriorTransforms(shape)
        transforms.load_state_dict(weights)
    own = {key.removeprefix(_BOTTLENECK): value.numpy() for key, value in named.items() if key.startswith(_BOTTLENECK)}
    prior = prior_of(own, quantization)
    wanted = transforms.side_channels or transforms.channels
    if prior.medians.size != wanted:
        raise ValueError(f"its factorized prior has {prior.medians.size} channels, not {wanted}")
    return model_of(name, transforms, prior, (Level(),), asdict(shape))


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
