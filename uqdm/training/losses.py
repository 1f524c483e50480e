"""What one step of the process costs a batch, for training."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from uqdm.diffusion.process import posterior_mean, step_bits
from uqdm.diffusion.window import Window
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Schedule
from uqdm.model.stepwise import SIGMA_DATA


@dataclass(frozen=True)
class StepLosses:
    """What one step of a batch costs, means over pixels; scalars with a gradient."""

    rate_bpp: torch.Tensor
    unbounded_bpp: torch.Tensor
    """The rate if the base density were not cut off where x cannot be; else, or if not asked for, the rate."""
    x_hat_error: torch.Tensor
    """Squared error of x_hat over that of the best linear estimate of white data."""


def step_losses(
    denoiser: Denoiser,
    schedule: Schedule,
    x: torch.Tensor,
    index: int,
    *,
    bfloat16: bool = False,
    with_unbounded: bool = False,
) -> StepLosses:
    """Losses of one step for data x [B, 3, H, W], with fresh noise; ``unbounded_bpp`` if asked for."""
    step = schedule.step(index)
    z_t, window = _latent(schedule, x, index)
    z_s = posterior_mean(z_t, x, step) + step.width * (torch.rand_like(x) - 0.5)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
        opened, prediction = denoiser.open_all(z_t, z_s, step)
    prediction = Prediction(prediction.x_hat.float(), prediction.scale.float())
    n_pixels = x.numel() / x.shape[1]
    rate = step_bits(z_s, z_t, prediction, step, window if denoiser.bounded else None).sum() / n_pixels
    separate = denoiser.bounded and with_unbounded
    unbounded = step_bits(z_s, z_t, prediction, step).sum() / n_pixels if separate else rate
    best = (step.sigma_t**2 * SIGMA_DATA**2) / (step.alpha_t**2 * SIGMA_DATA**2 + step.sigma_t**2)
    return StepLosses(rate, unbounded, (opened.x_hat.float() - x).square().mean() / best)


def _latent(schedule: Schedule, x: torch.Tensor, index: int) -> tuple[torch.Tensor, Window]:
    """Draws the latent before step ``index``, from z_T ~ N(0, 1) as coding does, and what all so far leave of x."""
    z_t = torch.randn_like(x)
    window = Window.everything(x)
    for step in schedule.steps()[:index]:
        z_s = posterior_mean(z_t, x, step) + step.width * (torch.rand_like(x) - 0.5)
        z_t, window = z_s, window.after(z_t, z_s, step)
    return z_t, window
