"""What a denoiser is: from the latent z_t of a step to the parameters of the density of the next latent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from uqdm.model.schedule import Step


@dataclass(frozen=True)
class Prediction:
    """Parameters of p(z_s | z_t), before x_hat is clipped.

    ``x_hat`` [B, C, H, W] estimates the data, in its range of [-1, 1] where the network is right. ``scale`` of the
    same shape is the standard deviation of the base density of z_s, in units of z.
    """

    x_hat: torch.Tensor
    scale: torch.Tensor


class Denoiser(nn.Module, ABC):
    """A network, or a set of them, that serves every step of one schedule.

    ``needs_input(step)`` is False where the prediction does not depend on z_t; it then holds for every image.
    """

    memory_format: ClassVar[torch.memory_format] = torch.channels_last
    """Layout of weights and latents in which the network runs best, of those in which it is exact."""

    @abstractmethod
    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """Predicts from latents z_t, float [B, C, H, W], of one step."""

    def needs_input(self, step: Step) -> bool:
        """Whether the prediction of this step looks at z_t at all."""
        return True


def zero(module: nn.Module) -> nn.Module:
    """Sets all parameters of a layer to zero, so that its block starts as the identity; returns it."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module
