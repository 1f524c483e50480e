"""Sampling of x given z_0, the end of the reverse process (the softmax over levels of Sec. 4, Yang et al. 2025)."""

from __future__ import annotations

import torch

from uqdm.diffusion.images import N_LEVELS
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.model.schedule import Step


def draw_levels(
    estimate: torch.Tensor, step: Step, generator: torch.Generator, levels: Levels = IMAGE_LEVELS
) -> torch.Tensor:
    """Samples levels 0..255 of p(x | z_0) from ``estimate`` = z_0 / alpha_0 [B, C, H, W]; int64 of that shape.

    ``step`` is the last one, with gamma_0 at its end: the logit of level v is
    -(z_0 / alpha_0 - x(v))^2 exp(-gamma_0) / 2, as in :func:`uqdm.diffusion.process.last_stage_bits`.

    >>> from uqdm.model.schedule import Schedule
    >>> step = Schedule(18.3, 6.0, 4).step(3)  # its noise is much narrower than a level
    >>> draw_levels(torch.tensor([[[[0.2539, -1.0]]]]), step, torch.Generator().manual_seed(0)).tolist()
    [[[[160, 0]]]]
    """
    first, spacing = levels.like(estimate)
    every = torch.arange(N_LEVELS, dtype=estimate.dtype, device=estimate.device)
    values = first[..., None] + every * spacing[..., None]
    logits = -0.5 * torch.exp(torch.as_tensor(-step.gamma_s)) * (estimate[..., None] - values) ** 2
    # The argmax of logits plus Gumbel noise is a sample of their softmax (Maddison et al. 2017).
    uniform = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    return (logits.double() - torch.log(-torch.log(uniform.clamp(1e-30, 1 - 1e-16)))).argmax(-1)
