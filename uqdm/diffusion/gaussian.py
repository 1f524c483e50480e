"""The Gaussian diffusion process (VDM; Kingma et al. 2021), with the constants of the uniform one.

q(z_s | z_t, x) is Gaussian, with the mean and deviation of the uniform process, and
p(z_s | z_t) is a Gaussian around the same mean at x_hat. Denoisers, schedules and levels are the same.

Rates are KL divergences, the cost of ideal channel simulation of q. Real codes approach them only in time exponential
in the divergence, so there are no files of that size. The published curves of VDM, and of DiffC-A and DiffC-F (Theis et
al. 2022; its ancestral samples and its probability flow), are such rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from uqdm.diffusion.choices import DEVIATIONS, OWN, STARTS
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.process import NoiseSource, Transmission, last_stage_bits, posterior_mean, reverse_mean
from uqdm.diffusion.reconstruct import flow
from uqdm.model.denoiser import Denoiser, Opened, Prediction
from uqdm.model.schedule import Schedule, Step

__all__ = ["DEVIATIONS", "STARTS", "Nelbo", "ancestral", "deviation_for", "first_latent", "flow", "nelbo"]
__all__ += ["normal_noise", "prior_kl_bits", "reverse", "step_kl_bits", "transmit"]


def deviation_for(process: str, wanted: str = OWN) -> str:
    """The deviation of p for a model of a process: the wanted one, where ``own`` is the one that fits the process.

    >>> deviation_for("gaussian"), deviation_for("uniform"), deviation_for("uniform", "posterior")
    ('predicted', 'matched', 'posterior')
    """
    if wanted != OWN:
        return wanted
    return "predicted" if process == "gaussian" else "matched"


def reverse(prediction: Prediction, step: Step, deviation: str) -> Prediction:
    """p(z_s | z_t) of a prediction: a Gaussian around the forward kernel's mean at x_hat, of one of three deviations.

    - ``posterior``: that of q(z_s | z_t, x), a constant. This is VDM (Kingma et al. 2021, Sec. 3.3).
    - ``matched``: that of the uniform process' p(z_s | z_t), whose variance is the base density's plus the uniform
      noise's. This is the closest Gaussian to the density of a model of the uniform process.
    - ``predicted``: the network's prediction, for models that were trained in the Gaussian process.

    >>> step, x_hat = Schedule(18.3, 6.0, 4).step(1), torch.zeros(1, 3, 1, 1)
    >>> matched = reverse(Prediction(x_hat, torch.full_like(x_hat, step.posterior_sd)), step, "matched")
    >>> round(float(matched.scale[0, 0]) / step.posterior_sd, 4)
    1.4142
    """
    if deviation not in DEVIATIONS:
        raise ValueError(f"deviation={deviation!r}: choose one of {', '.join(DEVIATIONS)}")
    if deviation == "predicted":
        return prediction
    fixed = torch.full_like(prediction.scale, step.posterior_sd)
    return Prediction(prediction.x_hat, fixed if deviation == "posterior" else torch.hypot(prediction.scale, fixed))


def step_kl_bits(x: torch.Tensor, prediction: Prediction, step: Step, *, levels: Levels = IMAGE_LEVELS) -> torch.Tensor:
    """KL(q(z_s | z_t, x) || p(z_s | z_t)) of each coordinate, in bits (App. B.1, Yang et al. 2025; any deviation).

    >>> step = Schedule(18.3, 6.0, 4).step(1)
    >>> x = torch.zeros(1, 3, 1, 1)
    >>> float(step_kl_bits(x, Prediction(x, torch.full_like(x, step.posterior_sd)), step).abs().max())
    0.0
    """
    # The difference of the means without their common part, which would lose digits at large T.
    distance = step.x_weight * (x - levels.clip(prediction.x_hat))
    ratio = prediction.scale / step.posterior_sd
    nats = torch.log(ratio) + 0.5 * (ratio**-2 - 1) + 0.5 * (distance / prediction.scale) ** 2
    return nats / math.log(2)


def prior_kl_bits(x: torch.Tensor, step: Step) -> torch.Tensor:
    """KL(q(z_T | x) || N(0, 1)) of each coordinate, in bits; ``step`` is the first (L_T, eq. 1, Yang et al. 2025).

    >>> x = torch.ones(1, 1, 1, 1)
    >>> round(float(prior_kl_bits(x, Schedule(18.3, 6.0, 4).step(0))), 5)  # alpha_T^2 is 0.0025
    0.00179
    """
    # log sigma^2 = -softplus(-gamma) is accurate where sigma is near 1.
    gamma = torch.as_tensor(step.gamma_t, dtype=x.dtype, device=x.device)
    log_variance = -torch.nn.functional.softplus(-gamma)
    return 0.5 * (step.sigma_t**2 + step.alpha_t**2 * x**2 - 1 - log_variance) / math.log(2)


def first_latent(x: torch.Tensor, step: Step, noise: torch.Tensor, start: str) -> torch.Tensor:
    """z_T of standard normal ``noise``: a sample of q(z_T | x), or (``start="prior"``) the noise itself."""
    if start not in STARTS:
        raise ValueError(f"start={start!r}: choose one of {', '.join(STARTS)}")
    return noise if start == "prior" else step.alpha_t * x + step.sigma_t * noise


@torch.inference_mode()
def transmit(
    denoiser: Denoiser,
    schedule: Schedule,
    x: torch.Tensor,
    noise: NoiseSource,
    *,
    start: str = "prior",
    deviation: str = "predicted",
    levels: Levels = IMAGE_LEVELS,
) -> Iterator[Transmission]:
    """Sends x [B, C, H, W] step by step by ideal channel simulation: z_s is a sample of q(z_s | z_t, x).

    ``noise`` gives N(0, 1) for every index; bits are KL divergences; those of a section are
    given the coordinates of the sections before it. The cost of z_T (:func:`prior_kl_bits`) is not included.
    """
    z_t = first_latent(x, schedule.step(0), noise(0, x.shape), start)
    for step in schedule.steps():
        z_s = posterior_mean(z_t, x, step) + step.posterior_sd * noise(step.index + 1, x.shape)
        opened, found = denoiser.open_all(z_t, z_s, step)
        prediction = reverse(found, step, deviation)
        bits = step_kl_bits(x, prediction, step, levels=levels)
        yield Transmission(step, z_t, opened.x_hat, prediction, z_s, bits)
        z_t = z_s


@dataclass(frozen=True)
class Nelbo:
    """The terms of the bound on -log2 p(x) (eq. 1, Yang et al. 2025), in bits of each sample.

    ``prior`` [B] is the KL divergence of z_T, ``steps`` [B, T] are those of the steps, and ``last_stage`` [B] is x
    given z_0. Each is computed at one sample of the latents, so means over samples are unbiased.
    """

    prior: torch.Tensor
    steps: torch.Tensor
    last_stage: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """The bound [B]."""
        return self.prior + self.steps.sum(1) + self.last_stage

    @property
    def progressive(self) -> torch.Tensor:
        """Ideal rates of progressive coding [B, T + 2]: up to z_T, up to z of each step, and all."""
        return torch.cat([self.prior[:, None], self.steps, self.last_stage[:, None]], 1).cumsum(1)


def nelbo(
    denoiser: Denoiser,
    schedule: Schedule,
    x: torch.Tensor,
    noise: NoiseSource,
    *,
    deviation: str = "posterior",
    levels: Levels = IMAGE_LEVELS,
) -> Nelbo:
    """The bound at one sample of the latents of each x [B, C, H, W].

    ``schedule`` may have any T that the denoiser supports (:meth:`uqdm.model.checkpoint.Model.schedule_at`).
    """
    first, steps = schedule.step(0), []
    for sent in transmit(denoiser, schedule, x, noise, start="posterior", deviation=deviation, levels=levels):
        steps.append(_of_samples(sent.bits))
        last = sent
    ends = prior_kl_bits(x.double(), first), last_stage_bits(x.double(), last.z_s.double(), last.step, levels)
    return Nelbo(_of_samples(ends[0]), torch.stack(steps, 1), _of_samples(ends[1]))


def _of_samples(bits: torch.Tensor) -> torch.Tensor:
    return bits.double().flatten(1).sum(1)


def normal_noise(generator: torch.Generator) -> NoiseSource:
    """N(0, 1) from a generator, in the order of the calls, on the generator's device."""

    def noise(index: int, shape: torch.Size) -> torch.Tensor:
        return torch.empty(shape, device=generator.device).normal_(generator=generator)

    return noise


@torch.inference_mode()
def ancestral(
    z_t: torch.Tensor,
    steps: list[Step],
    denoiser: Denoiser,
    noise: NoiseSource,
    *,
    first: Opened | None = None,
    deviation: str = "predicted",
    levels: Levels = IMAGE_LEVELS,
) -> torch.Tensor:
    """Samples z_0 from z_t [B, C, H, W] by p(z_s | z_t), step by step; returns z_0 / alpha_0. In coding: DiffC-A.

    ``first`` is the denoiser's output for the first of ``steps``, if it is known. ``noise`` gives N(0, 1) for the index
    of each step plus 1, as in :func:`transmit`. The alternative, DiffC-F, is the probability flow
    (:func:`uqdm.diffusion.reconstruct.flow`), which is the same for both processes.
    """
    for index, step in enumerate(steps):
        opened = first if first is not None and index == 0 else denoiser.begin(z_t, step)
        drawn = noise(step.index + 1, z_t.shape).to(z_t)
        section = denoiser.section_of(step, *z_t.shape[1:]).to(z_t.device)
        z_s = torch.zeros_like(z_t)
        for number in range(denoiser.n_sections(step)):
            prediction = reverse(denoiser.condition(opened, z_t, z_s, number, step), step, deviation)
            sample = reverse_mean(z_t, prediction, step, levels) + prediction.scale * drawn
            z_s = torch.where(section == number, sample.to(z_t), z_s)
        z_t = z_s
    return z_t / steps[-1].alpha_s
