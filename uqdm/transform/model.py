"""A model of transform coding, ready to code."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uqdm.transform.contract import Transforms
from uqdm.transform.prior import Prior

ROUNDING, UNIVERSAL = "rounding", "universal"
QUANTIZATIONS = (ROUNDING, UNIVERSAL)


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
    def densities(self) -> Transforms:
        """The networks in float64, for the densities of the latents: there two machines differ by less than 2^-30."""
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
    return Model(name, transforms, prior, levels, _digest(transforms, prior, description))


def _digest(transforms: Transforms, prior: Prior, description: Mapping[str, Any]) -> str:
    found = hashlib.sha256(f"{json.dumps(description, sort_keys=True)}\n".encode())
    for key, value in sorted(transforms.state_dict().items()):
        found.update(f"{key} {list(value.shape)}\n".encode())
        found.update(value.detach().cpu().numpy().astype("<f4").tobytes())
    for table in (prior.frequencies.edges, prior.frequencies.starts, prior.frequencies.firsts, prior.rows):
        found.update(np.ascontiguousarray(table, "<i8").tobytes())
    found.update(prior.medians.astype("<f4").tobytes())
    return found.hexdigest()
