"""The measured systems: trained models, and the weights of a VDM used as UQDM without training."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion import process
from uqdm.diffusion.levels import Levels, levels_of
from uqdm.diffusion.process import step_bits
from uqdm.model.checkpoint import Model, load
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.points import PointsDenoiser
from uqdm.model.schedule import Schedule, Step
from uqdm.swirl.training import GAMMA_MAX, GAMMA_MIN
from uqdm.training.data.swirl import swirl_points

FACTORS = tuple(float(factor) for factor in np.geomspace(0.25, 10, 14).round(3))
"""Factors of the posterior's deviation to try at each step."""
N_FITTED = 2048  # points of the training distribution for the choice of factors

LABELS = {
    "vdm": "VDM",
    "learned": "UQDM, learned variance",
    "fixed": "UQDM, fixed variance",
    "vdm-weights": "UQDM, VDM's weights, fixed variance",
    "vdm-factors": "UQDM, VDM's weights, a variance factor a step",
    "forward": "UQDM, fixed variance's weights, forward kernel's variance",
    "wide": "UQDM, learned variance, gamma_min -13.3",
}
"""Descriptions of the systems, by name."""


@dataclass(frozen=True)
class SwirlSystem:
    """A denoiser with a schedule, and the process for measurements."""

    name: str
    denoiser: Denoiser
    schedule: Schedule
    levels: Levels
    is_gaussian: bool = False

    @property
    def n_steps(self) -> int:
        """The number of steps T."""
        return self.schedule.n_steps


class ScaledDenoiser(Denoiser):
    """Another denoiser, whose deviations are multiplied by a factor for each step."""

    def __init__(self, denoiser: Denoiser, factors: list[float]):
        super().__init__()
        self.denoiser, self.factors = denoiser, factors
        self.density = denoiser.density

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """See :meth:`uqdm.model.denoiser.Denoiser.forward`."""
        prediction = self.denoiser(z_t, step)
        return Prediction(prediction.x_hat, prediction.scale * self.factors[step.index])


def trained(models: Path, kind: str, seed: int) -> dict[int, Model]:
    """The trained models of a kind and seed by T, from the list of ``uqdm swirl train``."""
    listed = json.loads((models / f"{kind}-seed{seed}.json").read_text())
    return {int(n_steps): load(models / folder) for n_steps, folder in listed.items()}


def as_system(name: str, model: Model) -> SwirlSystem:
    """A trained model as a system."""
    return SwirlSystem(name, model.denoiser, model.schedule, levels_of(model.config), model.process == "gaussian")


def vdm_systems(vdm: Model, vdm_steps: list[int], uqdm_steps: list[int], seed: int) -> list[SwirlSystem]:
    """A VDM at several T; and universally quantized on UQDM's schedule, with its own variance and with fitted ones."""
    levels = levels_of(vdm.config)
    slope, gamma_max = vdm.schedule.slope, vdm.schedule.gamma_max
    systems = [SwirlSystem("vdm", vdm.denoiser, Schedule(slope, gamma_max, n), levels, True) for n in vdm_steps]
    for n in uqdm_steps:
        plain = SwirlSystem("vdm-weights", vdm.denoiser, Schedule(GAMMA_MAX - GAMMA_MIN, GAMMA_MAX, n), levels)
        scaled = ScaledDenoiser(vdm.denoiser, fitted_factors(plain, seed))
        systems += [plain, SwirlSystem("vdm-factors", scaled, plain.schedule, levels)]
    return systems


def with_forward_kernel(system: SwirlSystem) -> SwirlSystem:
    """The same weights with the forward kernel's deviation instead of the posterior's."""
    network = system.denoiser
    assert isinstance(network, PointsDenoiser)
    other = PointsDenoiser(
        channels=network.channels,
        width=network.layers[0].out_features,  # type: ignore[arg-type]
        learned_scale=network.learned_scale,
        forward_kernel_scale=True,
        gamma_min=network.gamma_min,
        gamma_max=network.gamma_max,
    )
    other.load_state_dict(network.state_dict())
    return SwirlSystem("forward", other.eval(), system.schedule, system.levels)


@float32_arithmetic()
@torch.inference_mode()
def fitted_factors(system: SwirlSystem, seed: int) -> list[float]:
    """For each step the factor in ``FACTORS`` with the lowest rate, on other points than those of the test.

    The lattice is fixed, so latents do not depend on the deviations: the factors of the steps can be chosen separately.
    """
    generator = torch.Generator().manual_seed(seed)
    points = swirl_points(N_FITTED, np.random.default_rng([seed, 1]))[:, None, None, :]
    x = system.levels.to_data(points)
    chosen = []
    for sent in process.transmit(
        system.denoiser, system.schedule, x, noise_of(generator, x, system), levels=system.levels
    ):
        rates = []
        for factor in FACTORS:
            prediction = Prediction(sent.prediction.x_hat, sent.prediction.scale * factor)
            bits = step_bits(sent.z_s, sent.z_t, prediction, sent.step, levels=system.levels)
            rates.append(float(bits.mean()))
        chosen.append(FACTORS[int(np.argmin(rates))])
    return chosen


def noise_of(generator: torch.Generator, x: torch.Tensor | None, system: SwirlSystem) -> process.NoiseSource:
    """Noise of a transmission: the dither of each step, and z_T from q(z_T | x), or from the prior if x is None."""
    first = system.schedule.step(0)

    def noise(index: int, shape: torch.Size) -> torch.Tensor:
        blank = torch.empty(shape)
        if index and not system.is_gaussian:
            return blank.uniform_(-0.5, 0.5, generator=generator)
        drawn = blank.normal_(generator=generator)
        return drawn if index or x is None else first.alpha_t * x + first.sigma_t * drawn

    return noise
