"""Pictures from a latent in the middle of the process: by sampling the rest, or by its deterministic flow.

The third way, ``denoise``, is the estimate x_hat itself. All three are in Sec. 5 and App. B.3 of Yang et al. 2025.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from uqdm.diffusion.density import DENSITIES
from uqdm.diffusion.process import reverse_mean
from uqdm.model.denoiser import Prediction
from uqdm.model.schedule import Step

Uniform = Callable[[int, torch.Size], torch.Tensor]
"""Numbers uniform in (0, 1) of a given shape for draw 0, 1, ... of a reconstruction."""
Predict = Callable[[torch.Tensor, Step], Prediction]


def ancestral(
    z_t: torch.Tensor,
    first: Prediction,
    steps: list[Step],
    predict: Predict,
    uniform: Uniform,
    density: str = "logistic",
) -> torch.Tensor:
    """Samples z_0 from z_t [B, C, H, W] by p(z_s | z_t), step by step; returns z_0 / alpha_0.

    ``steps`` are those that are left, ``first`` the prediction of the first of them. p is the base density convolved
    with the step's uniform noise, so a sample is the sum of one of each.
    """
    family = DENSITIES[density]
    prediction = first
    for i, step in enumerate(steps):
        prediction = prediction if i == 0 else predict(z_t, step)
        scale = prediction.scale * family.scale_per_deviation
        base = family.quantile(uniform(2 * i, z_t.shape)).to(z_t)
        box = (uniform(2 * i + 1, z_t.shape) - 0.5).to(z_t)
        z_t = reverse_mean(z_t, prediction, step) + scale * base + step.width * box
    return z_t / steps[-1].alpha_s


def flow(z_t: torch.Tensor, first: Prediction, steps: list[Step], predict: Predict) -> torch.Tensor:
    """Follows the probability flow from z_t [B, C, H, W] to z_0, without noise and without clipping x_hat.

    With eps_hat = (z_t - alpha_t x_hat) / sigma_t, a step is z_s = alpha_s x_hat + sigma_s eps_hat (DDIM; Song et al.
    2021, eq. 12 with sigma = 0). Returns z_0 / alpha_0.
    """
    prediction = first
    for i, step in enumerate(steps):
        x_hat = (prediction if i == 0 else predict(z_t, step)).x_hat
        eps_hat = (z_t - step.alpha_t * x_hat) / step.sigma_t
        z_t = step.alpha_s * x_hat + step.sigma_s * eps_hat
    return z_t / steps[-1].alpha_s
