"""The Gaussian diffusion process (VDM; Kingma et al. 2021), whose steps' rates are those that ideal channel
simulation would reach: no code of finite time does, but the paper's curves of VDM count them so.

It has the constants of the uniform process: q(z_s | z_t, x) is Gaussian, of the same mean and deviation, and
p(z_s | z_t) is a Gaussian around the same mean at x_hat, whose deviation is predicted or fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch

from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.process import Noise, Transmission, posterior_mean, reverse_mean
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Schedule, Step


def step_kl_bits(x: torch.Tensor, prediction: Prediction, step: Step, *, levels: Levels = IMAGE_LEVELS) -> torch.Tensor:
    """KL(q(z_s | z_t, x) || p(z_s | z_t)) of each coordinate, in bits (Kingma et al. 2021, App. A, any deviation).

    >>> step = Schedule(18.3, 6.0, 4).step(1)
    >>> x = torch.zeros(1, 3, 1, 1)
    >>> float(step_kl_bits(x, Prediction(x, torch.full_like(x, step.posterior_sd)), step).abs().max())
    0.0
    """
    # The means' difference without their common part, which would cost digits where steps are many.
    distance = step.x_weight * (x - levels.clip(prediction.x_hat))
    ratio = prediction.scale / step.posterior_sd
    nats = torch.log(ratio) + 0.5 * (ratio**-2 - 1) + 0.5 * (distance / prediction.scale) ** 2
    return nats / math.log(2)


@torch.inference_mode()
def transmit(
    denoiser: Denoiser, schedule: Schedule, x: torch.Tensor, noise: Noise, *, levels: Levels = IMAGE_LEVELS
) -> Iterator[Transmission]:
    """Sends x [B, C, H, W] step by step as ideal channel simulation would: z_s is a sample of q(z_s | z_t, x).

    ``noise`` gives N(0, 1) for every index; bits are the KL divergences.
    """
    z_t = noise(0, x.shape)
    for step in schedule.steps():
        prediction = denoiser(z_t, step)
        z_s = posterior_mean(z_t, x, step) + step.posterior_sd * noise(step.index + 1, x.shape)
        bits = step_kl_bits(x, prediction, step, levels=levels)
        yield Transmission(step, z_t, prediction.x_hat, prediction, z_s, bits)
        z_t = z_s


def ancestral(
    z_t: torch.Tensor,
    steps: list[Step],
    predict: Callable[[torch.Tensor, Step], Prediction],
    generator: torch.Generator,
    *,
    levels: Levels = IMAGE_LEVELS,
) -> torch.Tensor:
    """Samples z_0 from z_t [B, C, H, W] by p(z_s | z_t), step by step; returns z_0 / alpha_0."""
    for step in steps:
        prediction = predict(z_t, step)
        noise = torch.empty_like(z_t).normal_(generator=generator)
        z_t = reverse_mean(z_t, prediction, step, levels) + prediction.scale.to(z_t) * noise
    return z_t / steps[-1].alpha_s
