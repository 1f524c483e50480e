"""Exponential moving averages of all learned parameters, those of the schedule included."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class Averages(Generic[M]):
    """A copy of a module whose parameters are moving averages; a parameter is updated only when it was trained.

    The decay warms up as (1 + n) / (10 + n) with the n-th update of a parameter, as in the published code.
    """

    def __init__(self, module: M, decay: float):
        self.decay = decay
        self.module = copy.deepcopy(module)
        self.module.requires_grad_(False)
        self.module.eval()
        self.updates: dict[str, int] = {}
        """Number of updates of each parameter."""

    @torch.no_grad()
    def update(self, module: M) -> None:
        """Updates the averages of the parameters that have a gradient."""
        averages = dict(self.module.named_parameters())
        for name, value in module.named_parameters():
            if value.grad is not None:
                n = self.updates[name] = self.updates.get(name, 0) + 1
                averages[name].lerp_(value, 1 - min(self.decay, (1 + n) / (10 + n)))
