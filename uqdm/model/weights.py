"""Loads tensors of a file into a network after checking their names, shapes and values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.model.files import CheckpointError


def fill(module: nn.Module, tensors: Mapping[str, Any], file: str | Path) -> None:
    """Sets all tensors of a module; raises :class:`CheckpointError`, which names the file and the tensor.

    Floating-point tensors may have any precision, and are converted to that of the module.
    """
    wanted = module.state_dict()
    for name in sorted(wanted.keys() | tensors.keys(), key=str):
        fault = _fault(wanted.get(name), tensors.get(name), absent=name not in tensors)
        if fault is not None:
            raise CheckpointError(f"{file}: its weights do not fit its configuration: tensor {name!r} {fault}")
    taken = {name: tensors[name].to(value.dtype) for name, value in wanted.items()}
    for name, value in taken.items():
        check_finite(value, name, file)
    module.load_state_dict(taken, strict=True)


def check_finite(value: torch.Tensor, name: str, file: str | Path) -> None:
    """Raises :class:`CheckpointError` where a tensor holds NaN or infinity."""
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        bad = int((~torch.isfinite(value)).sum())
        raise CheckpointError(f"{file}: tensor {name!r} holds NaN or infinity ({bad} of {value.numel()} values)")


def check_bits(bits: np.ndarray, model_name: str) -> None:
    """Raises ValueError for bits that are NaN or infinite: the weights are so large that outputs overflow."""
    if not np.isfinite(bits).all():
        raise ValueError(f"model {model_name}: its outputs for an image are NaN or infinite; its weights are too large")


def count(tensors: Mapping[str, Any]) -> int:
    """Number of values of all tensors."""
    return sum(value.numel() for value in tensors.values() if isinstance(value, torch.Tensor))


def _fault(wanted: torch.Tensor | None, found: Any, *, absent: bool) -> str | None:
    """The reason why a tensor cannot replace one of a network; None if it can."""
    if wanted is None:
        return "is none of the network's"
    if absent:
        return "is missing"
    if not isinstance(found, torch.Tensor) or found.layout != torch.strided or found.is_meta:
        return f"is no tensor of numbers ({type(found).__name__})"
    if found.shape != wanted.shape:
        return f"has shape {list(found.shape)}, not {list(wanted.shape)}"
    if found.is_quantized or found.is_floating_point() != wanted.is_floating_point() or found.is_complex():
        return f"has type {found.dtype}, not {wanted.dtype}"
    return None
