"""Samples, and reconstructions from every prefix, by the reverse process; its last step draws x from p(x | z_0)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion import gaussian, process, reconstruct
from uqdm.diffusion.last_stage import draw_levels
from uqdm.diffusion.process import last_stage_bits
from uqdm.model.denoiser import Opened
from uqdm.model.schedule import Step
from uqdm.swirl.systems import SwirlSystem, noise_of

N_PLACES = 10
"""Number of latents of a long schedule to reconstruct from, without the last."""


@dataclass(frozen=True)
class PrefixReconstruction:
    """The reconstruction of a prefix of the steps."""

    n_known: int
    """Number of steps in the prefix."""
    rate_bits: np.ndarray
    """Ideal bits of the prefix for each point, float64 [N]."""
    points_uint8: np.ndarray
    """A reconstruction, uint8 [N, C]."""


@float32_arithmetic()
@torch.inference_mode()
def samples(system: SwirlSystem, n: int, seed: int) -> np.ndarray:
    """Points drawn from the model, uint8 [n, C]."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.empty((n, len(system.levels.first), 1, 1)).normal_(generator=generator)
    return _rest(system, z, 0, generator)


@float32_arithmetic()
@torch.inference_mode()
def progressive(system: SwirlSystem, points_uint8: np.ndarray, seed: int) -> list[PrefixReconstruction]:
    """Sends points [N, C] with z_T from the prior, as in coding; reconstructs them from prefixes, and at the end."""
    x = system.levels.to_data(points_uint8[:, None, None, :])
    generator = torch.Generator().manual_seed(seed)
    transmit = gaussian.transmit if system.is_gaussian else process.transmit
    wanted = _wanted(system.n_steps)
    rate, places = np.zeros(len(x)), []
    for sent in transmit(system.denoiser, system.schedule, x, noise_of(generator, None, system), levels=system.levels):
        index = sent.step.index
        if index in wanted:
            places.append(PrefixReconstruction(index, rate.copy(), _rest(system, sent.z_t, index, generator)))
        rate += _of_points(sent.bits)
    places.append(PrefixReconstruction(system.n_steps, rate.copy(), _rest(system, sent.z_s, system.n_steps, generator)))
    last = last_stage_bits(x.double(), sent.z_s.double(), sent.step, system.levels)
    return [*places, PrefixReconstruction(system.n_steps + 1, rate + _of_points(last), points_uint8)]


def _wanted(n_steps: int) -> set[int]:
    """Steps before which to reconstruct: all, or an even selection."""
    return {round(float(place)) for place in np.linspace(0, n_steps, min(n_steps, N_PLACES) + 1)}


def _rest(system: SwirlSystem, z: torch.Tensor, n_known: int, generator: torch.Generator) -> np.ndarray:
    """Samples the remaining steps after ``n_known`` steps, and then x; uint8 [N, C]."""
    steps = system.schedule.steps()
    left = steps[n_known:]
    if not left:
        estimate = z / steps[-1].alpha_s
    elif system.is_gaussian:
        noise = gaussian.normal_noise(generator)
        estimate = gaussian.ancestral(z, left, system.denoiser, noise, levels=system.levels)
    else:
        estimate = _uniform_rest(system, z, left, generator)
    drawn = draw_levels(estimate.double(), steps[-1], generator, system.levels)
    return drawn.flatten(1).numpy().astype(np.uint8)


def _uniform_rest(system: SwirlSystem, z: torch.Tensor, left: list[Step], generator: torch.Generator) -> torch.Tensor:
    def uniform(index: int, shape: torch.Size) -> torch.Tensor:
        return torch.empty(shape).uniform_(1e-6, 1 - 1e-6, generator=generator)

    first: Opened = system.denoiser.begin(z, left[0])
    density = system.denoiser.density
    return reconstruct.ancestral(system.denoiser, z, first, left, uniform, density=density, levels=system.levels)


def _of_points(bits: torch.Tensor) -> np.ndarray:
    return bits.flatten(1).sum(1).double().numpy()
