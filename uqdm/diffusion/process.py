"""The uniform diffusion process: forward and reverse steps and their rates (Sec. 4, Yang et al. 2025)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from uqdm.diffusion.density import bin_log_mass, bounded_log_mass
from uqdm.diffusion.images import N_LEVELS
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.window import Window
from uqdm.model.denoiser import Denoiser, Prediction, merge
from uqdm.model.schedule import Schedule, Step

NoiseSource = Callable[[int, torch.Size], torch.Tensor]
"""Shared noise: for index 0 the latent z_T ~ N(0, 1); for 1..T the dither U(-1/2, 1/2) of step index - 1."""


def posterior_mean(z_t: torch.Tensor, x: torch.Tensor, step: Step) -> torch.Tensor:
    """Mean of the forward kernel q(z_s | z_t, x)."""
    return step.z_weight * z_t + step.x_weight * x


def reverse_mean(z_t: torch.Tensor, prediction: Prediction, step: Step, levels: Levels = IMAGE_LEVELS) -> torch.Tensor:
    """Mean of p(z_s | z_t): that of the forward kernel at the estimate of x, which is clipped to the data's range."""
    return posterior_mean(z_t, levels.clip(prediction.x_hat), step)


def step_bits(
    z_s: torch.Tensor,
    z_t: torch.Tensor,
    prediction: Prediction,
    step: Step,
    window: Window | None = None,
    *,
    density: str = "logistic",
    levels: Levels = IMAGE_LEVELS,
) -> torch.Tensor:
    """Bits to code each coordinate of z_s with p(z_s | z_t), shaped as z_s.

    -log2 of the bin's mass: log q is the same constant (-log width) everywhere, so this is one sample of the KL
    term of eq. 1 (App. B.2, Yang et al. 2025). With a ``window`` of the x that are possible given the latents up to
    z_t, the base density is truncated to them.
    """
    mean = reverse_mean(z_t, prediction, step, levels)
    if window is None:
        return bin_log_mass(z_s, mean, prediction.scale, step.width, density) / -math.log(2)
    low, high = (posterior_mean(z_t, edge, step) for edge in window.edges())
    least = step.x_weight / (
        2 * N_LEVELS
    )  # a quarter of a level: a bin that contains a level contains half of its cell
    return bounded_log_mass(z_s, mean, prediction.scale, step.width, (low, high), least, density) / -math.log(2)


def last_stage_bits(x: torch.Tensor, z_0: torch.Tensor, step: Step, levels: Levels = IMAGE_LEVELS) -> torch.Tensor:
    """Bits of x given z_0 by the paper's accounting: a softmax over the 256 levels of each coordinate.

    ``step`` is the last one. The logit of level v is -(z_0 / alpha_0 - x(v))^2 exp(-gamma_0) / 2.
    """
    centre = z_0 / step.alpha_s
    first, spacing = levels.like(z_0)
    # Levels more than 14 deviations away have no effect in float64.
    reach = min(N_LEVELS, math.ceil(14 * math.exp(_number(step.gamma_s) / 2) / min(levels.spacing)) + 1)
    near = levels.nearest(centre.detach())[..., None] + torch.arange(
        -reach, reach + 1, dtype=z_0.dtype, device=z_0.device
    )
    snr = _exp(-step.gamma_s)
    logits = -0.5 * snr * (centre[..., None] - (first[..., None] + near * spacing[..., None])) ** 2
    logits = logits.masked_fill((near < 0) | (near >= N_LEVELS), -torch.inf)
    return (logits.logsumexp(-1) + 0.5 * snr * (centre - x) ** 2) / math.log(2)


def _number(value: float | torch.Tensor) -> float:
    return float(value.detach()) if isinstance(value, torch.Tensor) else value


def _exp(value: float | torch.Tensor) -> Any:
    return value.exp() if isinstance(value, torch.Tensor) else math.exp(value)


@dataclass(frozen=True)
class Transmission:
    """One step of the transmission of an image: the known latent, the prediction, the sent latent, and its bits."""

    step: Step
    z_t: torch.Tensor
    x_hat: torch.Tensor
    """Estimate of the data from z_t alone, for pictures."""
    prediction: Prediction
    """The density parameters of each coordinate; in steps of several sections, given the sections before."""
    z_s: torch.Tensor
    bits: torch.Tensor
    """Ideal bits of each coordinate, [B, C, H, W]."""


@torch.inference_mode()
def transmit(
    denoiser: Denoiser,
    schedule: Schedule,
    x: torch.Tensor,
    noise: NoiseSource,
    *,
    around_mean: bool = False,
    levels: Levels = IMAGE_LEVELS,
) -> Iterator[Transmission]:
    """Sends x [B, C, H, W] by universal quantization (Sec. 4.2), step by step, with shared noise.

    The quantizer's lattice is fixed: z_s = (k - u) width with k = round(m / width + u), m the posterior's mean.
    ``around_mean=True`` centres it on the predicted mean instead, as the published code does; the distribution of
    z_s is the same in both cases, since the dither u is uniform. Sections are sent in order.
    """
    z_t = noise(0, x.shape)
    window = Window.everything(z_t) if denoiser.bounded else None
    for step in schedule.steps():
        opened = denoiser.begin(z_t, step)
        section = denoiser.section_of(step, *x.shape[1:]).to(x.device)
        u = noise(step.index + 1, x.shape)
        z_s, whole = torch.zeros_like(z_t), None
        for index in range(denoiser.n_sections(step)):
            prediction = denoiser.condition(opened, z_t, z_s, index, step)
            offset = reverse_mean(z_t, prediction, step, levels) if around_mean else 0.0
            k = torch.round((posterior_mean(z_t, x, step) - offset) / step.width + u)
            z_s = torch.where(section == index, (k - u) * step.width + offset, z_s)
            whole = prediction if whole is None else merge(whole, prediction, section == index)
        assert whole is not None
        bits = step_bits(z_s, z_t, whole, step, window, density=denoiser.density, levels=levels)
        yield Transmission(step, z_t, opened.x_hat, whole, z_s, bits)
        window = None if window is None else window.after(z_t, z_s, step)
        z_t = z_s
