"""The network of the swirl experiments, for points of the plane: images of one pixel, a channel for each coordinate.

It is that of the two-dimensional example of Kingma et al. (2021), also used by Yang et al. (2025, App. C.1).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Step
from uqdm.model.unet import softplus_from_one

N_FREQUENCIES = 8


class PointsDenoiser(Denoiser):
    """Two hidden layers from z_t and gamma_t, with Fourier features of each, to the noise and a deviation's factor.

    ``gamma_min`` and ``gamma_max`` scale gamma to [-1, 1]; they are constants even if the schedule is learned. The
    deviation before its factor is the forward kernel's or (as in the paper's swirl experiments) the posterior's.
    """

    learns_schedule = mixes_steps = any_schedule = True

    def __init__(
        self,
        *,
        channels: int = 2,
        width: int = 512,
        learned_scale: bool = True,
        forward_kernel_scale: bool = False,
        gamma_min: float = -13.3,
        gamma_max: float = 5.0,
    ):
        super().__init__()
        self.channels, self.learned_scale, self.forward_kernel_scale = channels, learned_scale, forward_kernel_scale
        self.gamma_min, self.gamma_max = gamma_min, gamma_max
        inputs = (channels + 1) * (1 + 2 * N_FREQUENCIES)
        outputs = channels * (2 if learned_scale else 1)
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
        )

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """See :meth:`uqdm.model.denoiser.Denoiser.forward`; z_t is [B, channels, 1, 1]."""
        out = self.layers(self._features(z_t, step.gamma_t)).double()[:, :, None, None]
        eps_hat = out[:, : self.channels]
        base = step.forward_sd if self.forward_kernel_scale else step.posterior_sd
        factor = softplus_from_one(out[:, self.channels :]) if self.learned_scale else torch.ones_like(eps_hat)
        return Prediction((z_t - step.sigma_t * eps_hat) / step.alpha_t, base * factor)

    def _features(self, z_t: torch.Tensor, gamma_t: float | torch.Tensor) -> torch.Tensor:
        dtype = next(self.parameters()).dtype
        gamma = torch.as_tensor(gamma_t, dtype=dtype, device=z_t.device).reshape(-1, 1)
        scaled = 2 * (gamma - self.gamma_min) / (self.gamma_max - self.gamma_min) - 1
        inputs = torch.cat([z_t.flatten(1).to(dtype), scaled.expand(len(z_t), 1)], dim=1)
        frequencies = 2 * math.pi * 2.0 ** torch.arange(N_FREQUENCIES, dtype=dtype, device=z_t.device)
        angles = (inputs[:, :, None] * frequencies).flatten(1)
        return torch.cat([inputs, angles.sin(), angles.cos()], dim=1)
