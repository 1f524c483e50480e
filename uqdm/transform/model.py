"""A model of transform coding, ready to code."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from uqdm.transform.contract import Transforms
from uqdm.transform.identity import digest
from uqdm.transform.prior import Prior
from uqdm.transform.quantization import QUANTIZATIONS, ROUNDING, UNIVERSAL


@dataclass(frozen=True)
class Level:
    """A rate of a model: the quantization that it was trained for, and the weight of the distortion in its loss."""

    quantization: str = ROUNDING
    weight: float | None = None
    """lambda of R + lambda D, R in bits per pixel and D the mean squared error of 8-bit samples; None if not known."""


@dataclass(frozen=True, eq=False)
class Model:
    """Networks in evaluation mode, the prior, and the digest of all that files use."""

    name: str
    transforms: Transforms
    prior: Prior
    levels: tuple[Level, ...]
    sha256: str

    @functools.cached_property
    def precise(self) -> Transforms:
        """The networks in float64, in which two machines differ by less than 2^-30."""
        return copy.deepcopy(self.transforms).double()

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        return next(self.transforms.parameters()).device

    def levels_for(self, quantization: str) -> list[int]:
        """The levels for a quantization; those for the other one if it has none."""
        found = [index for index, level in enumerate(self.levels) if level.quantization == quantization]
        return found or list(range(len(self.levels)))


def model_of(
    name: str, transforms: Transforms, prior: Prior, levels: tuple[Level, ...], description: Mapping[str, Any]
) -> Model:
    """A model of networks in memory; ``description`` is all besides weights and prior that its files depend on."""
    transforms = transforms.eval().requires_grad_(False)
    tensors = {name: value.detach().cpu().numpy() for name, value in transforms.state_dict().items()}
    return Model(name, transforms, prior, levels, digest(tensors, prior, description))


__all__ = ["QUANTIZATIONS", "ROUNDING", "UNIVERSAL", "Level", "Model", "model_of"]
