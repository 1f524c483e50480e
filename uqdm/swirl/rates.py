"""The negative evidence lower bound of each held-out point."""

from __future__ import annotations

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion import gaussian, process
from uqdm.diffusion.process import last_stage_bits
from uqdm.model.denoiser import Prediction
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.swirl.systems import SwirlSystem, noise_of

N_DRAWN = 48
"""Number of steps that are sampled for each point in longer schedules."""
PARTS = ("prior", "steps", "last_stage")


@float32_arithmetic()
@torch.inference_mode()
def nelbo_bits(system: SwirlSystem, points_uint8: np.ndarray, seed: int) -> np.ndarray:
    """Bits of each point [N, C] in ``PARTS``, float64 [N, 3]: KL of z_T to the prior, the steps, x given z_0.

    In a Gaussian process with more than ``N_DRAWN`` steps, that many are drawn for each point, one from each of as many
    equal parts of the schedule: the mean over points is unbiased (eq. 1, Yang et al. 2025).
    """
    x = system.levels.to_data(points_uint8[:, None, None, :])
    generator = torch.Generator().manual_seed(seed)
    steps = _gaussian_steps if system.is_gaussian else _uniform_steps
    bits, z_0 = steps(system, x, generator)
    last = system.schedule.step(system.n_steps - 1)
    parts = [
        gaussian.prior_kl_bits(x.double(), system.schedule.step(0)),
        bits,
        last_stage_bits(x.double(), z_0.double(), last, system.levels),
    ]
    return np.stack([part.flatten(1).sum(1).double().numpy() for part in parts], axis=1)


def _uniform_steps(
    system: SwirlSystem, x: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bits of all steps of each coordinate, and z_0."""
    total = torch.zeros(x.shape, dtype=torch.float64)
    noise = noise_of(generator, x, system)
    for sent in process.transmit(system.denoiser, system.schedule, x, noise, levels=system.levels):
        total += sent.bits
    return total, sent.z_s


def _gaussian_steps(
    system: SwirlSystem, x: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`_uniform_steps`; latents of a Gaussian process are drawn directly from q(z_t | x)."""
    n_steps = system.n_steps
    n_drawn = min(n_steps, N_DRAWN)
    schedule = LearnedSchedule(system.schedule)
    total = torch.zeros(x.shape, dtype=torch.float64)
    for stratum in range(n_drawn):
        place = torch.rand(len(x), generator=generator, dtype=torch.float64) if n_drawn < n_steps else 0.0
        index = torch.as_tensor((stratum + place) * n_steps / n_drawn).expand(len(x)).long()
        step = schedule.steps_of(index)
        z_t = step.alpha_t * x + step.sigma_t * _normal(x, generator)
        prediction: Prediction = system.denoiser(z_t, step)
        total += gaussian.step_kl_bits(x, prediction, step, levels=system.levels) * (n_steps / n_drawn)
    last = system.schedule.step(n_steps - 1)
    return total, last.alpha_s * x + last.sigma_s * _normal(x, generator)


def _normal(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.empty_like(x).normal_(generator=generator)
