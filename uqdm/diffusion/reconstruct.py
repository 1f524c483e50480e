"""Pictures from a latent: by sampling the remaining steps, or by the deterministic probability flow.

The third reconstruction, ``denoise``, is the estimate x_hat itself. All three are in Sec. 5 and App. B.3 of Yang et
al. 2025.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from uqdm.diffusion.density import DENSITIES
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.process import posterior_mean, reverse_mean
from uqdm.diffusion.window import Window
from uqdm.model.denoiser import Denoiser, Opened, Prediction
from uqdm.model.schedule import Step

Uniform = Callable[[int, torch.Size], torch.Tensor]
"""Source of uniform numbers in (0, 1), given the index of the draw in a reconstruction, and a shape."""


def ancestral(
    denoiser: Denoiser,
    z_t: torch.Tensor,
    first: Opened,
    steps: list[Step],
    uniform: Uniform,
    window: Window | None = None,
    density: str = "logistic",
    levels: Levels = IMAGE_LEVELS,
) -> torch.Tensor:
    """Samples z_0 from z_t [B, C, H, W] by p(z_s | z_t), step by step; returns z_0 / alpha_0.

    ``steps`` are the remaining steps, ``first`` is the denoiser's output for the first of them. Sections are sampled in
    order, each given those before it. p is the base density convolved with the step's uniform noise, so a sample is the
    sum of a sample of each. With a ``window`` of the x that are possible given the latents so far, the density (then a
    logistic) is truncated to them.
    """
    family = DENSITIES[density]
    for i, step in enumerate(steps):
        opened = denoiser.begin(z_t, step) if i else first
        share = uniform(2 * i, z_t.shape).to(z_t.device)
        bounds = [posterior_mean(z_t, edge, step) for edge in window.edges()] if window is not None else None
        box = (uniform(2 * i + 1, z_t.shape) - 0.5).to(z_t)
        section = denoiser.section_of(step, *z_t.shape[1:]).to(z_t.device)
        z_s = torch.zeros_like(z_t)
        for number in range(denoiser.n_sections(step)):
            found = denoiser.condition(opened, z_t, z_s, number, step)
            prediction = Prediction(found.x_hat.to(z_t), found.scale.to(z_t))
            mean, scale = reverse_mean(z_t, prediction, step, levels), prediction.scale * family.scale_per_deviation
            if bounds is None:
                base = mean + scale * family.quantile(share).to(mean)
            else:
                base = _bounded_logistic(mean, scale, share, bounds)
            z_s = torch.where(section == number, base + step.width * box, z_s)
        window = None if window is None else window.after(z_t, z_s, step)
        z_t = z_s
    return z_t / steps[-1].alpha_s


def _bounded_logistic(
    mean: torch.Tensor, scale: torch.Tensor, share: torch.Tensor, bounds: list[torch.Tensor]
) -> torch.Tensor:
    """The quantile ``share`` of a logistic truncated to bounds."""
    # Computed from the tail near 0, which has more digits than the one near 1.
    side = torch.where(bounds[0] + bounds[1] > 2 * mean, -1.0, 1.0)
    low, high = (torch.sigmoid((side * (bound - mean) / scale).double()) for bound in bounds)
    found = mean + side * scale * torch.logit(low + share.double() * (high - low)).to(mean)
    return torch.minimum(torch.maximum(found, bounds[0]), bounds[1])


def flow(denoiser: Denoiser, z_t: torch.Tensor, first: Opened, steps: list[Step]) -> torch.Tensor:
    """Follows the probability flow from z_t [B, C, H, W] to z_0, without noise and without clipping x_hat.

    With eps_hat = (z_t - alpha_t x_hat) / sigma_t, a step is z_s = alpha_s x_hat + sigma_s eps_hat (DDIM; Song et al.
    2021, eq. 12 with sigma = 0). Returns z_0 / alpha_0. x_hat is the estimate from z_t alone.
    """
    for i, step in enumerate(steps):
        x_hat = (denoiser.begin(z_t, step) if i else first).x_hat.to(z_t)
        eps_hat = (z_t - step.alpha_t * x_hat) / step.sigma_t
        z_t = step.alpha_s * x_hat + step.sigma_s * eps_hat
    return z_t / steps[-1].alpha_s
