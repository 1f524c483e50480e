"""What is minimized: rates of the process, in bits per pixel, as a function of weights and schedule.

z_s is a sample of the forward process written as a function of its noise, z_s = mean + spread u, so that where the
schedule is learned its gradient is complete: through the rates' constants and through every latent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from uqdm.diffusion import gaussian
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.process import last_stage_bits, posterior_mean, step_bits
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.schedule import Step

Rates = dict[str, torch.Tensor]
"""Mean rates in bits per pixel: ``prior``, ``step_1`` .. ``step_T`` and ``last_stage``, those that were computed."""


@dataclass(frozen=True)
class Process:
    """What tells the processes apart in training."""

    draw: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
    """Fills a tensor with the noise of a step, in place."""
    spread: Callable[[Step], Any]
    """What the noise is multiplied by."""


def _centred_uniform(blank: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return blank.uniform_(generator=generator) - 0.5


PROCESSES = {
    "uniform": Process(_centred_uniform, lambda step: step.width),
    "gaussian": Process(lambda blank, g: blank.normal_(generator=g), lambda step: step.posterior_sd),
}


@dataclass(frozen=True)
class Noise:
    """All noise of a batch: ``start`` N(0, 1) for z_T, and for the steps from the first what the process adds."""

    start: torch.Tensor
    steps: list[torch.Tensor]

    def rows(self, rows: slice | torch.Tensor) -> Noise:
        """That of some of the samples."""
        return Noise(self.start[rows], [noise[rows] for noise in self.steps])


class Objective(nn.Module):
    """A denoiser with its schedule, and the rates that training lowers.

    ``start`` says whether z_T is a sample of its ``posterior`` q(z_T | x), or as in coding of the ``prior``.
    With ``autocast`` the network computes in bfloat16 where it may; rates are float32.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        schedule: LearnedSchedule,
        *,
        process: str = "uniform",
        levels: Levels = IMAGE_LEVELS,
        start: str = "posterior",
        last_stage: bool = True,
        autocast: bool = False,
    ):
        super().__init__()
        self.denoiser, self.schedule = denoiser, schedule
        self.process, self.levels, self.start = process, levels, start
        self.last_stage, self.autocast = last_stage, autocast

    def draw(self, blank: Callable[[], torch.Tensor], n_steps: int, generator: torch.Generator) -> Noise:
        """Draws z_T's noise, then that of ``n_steps`` steps; ``blank`` makes an empty tensor."""
        process = PROCESSES[self.process]
        start = blank().normal_(generator=generator)
        return Noise(start, [process.draw(blank(), generator) for _ in range(n_steps)])

    def forward(self, x: torch.Tensor, noise: Noise, steps: int | torch.Tensor | None) -> tuple[torch.Tensor, Rates]:
        """The loss in bits per pixel, and the rates that it is made of (without gradient).

        ``steps`` is one step (its rate is the loss), a step for each sample, int64 [B] (T times their mean rate,
        with the ends of the bound), or None (the whole bound). x is [B, C, H, W].
        """
        if isinstance(steps, int):
            z_t = self._latents(x, noise, steps)[-1]
            rates = {f"step_{steps + 1}": self._step_rate(x, z_t, noise.steps[steps], self.schedule.step(steps))}
            return self._sum(rates)
        if steps is None:
            latents = self._latents(x, noise, self.schedule.n_steps)
            rates = {
                f"step_{step.index + 1}": self._step_rate(x, latents[step.index], noise.steps[step.index], step)
                for step in self.schedule.steps()
            }
            return self._sum({**rates, **self._ends(x, latents[-1])})
        return self._random_steps(x, noise, steps)

    def _sum(self, rates: Rates) -> tuple[torch.Tensor, Rates]:
        return torch.stack(list(rates.values())).sum(), {name: rate.detach() for name, rate in rates.items()}

    # ---- latents --------------------------------------------------------------------------------------------

    def _z_start(self, x: torch.Tensor, noise: Noise) -> torch.Tensor:
        if self.start == "prior":
            return noise.start
        first = self.schedule.step(0)
        return first.alpha_t * x + first.sigma_t * noise.start

    def _latents(self, x: torch.Tensor, noise: Noise, n: int) -> list[torch.Tensor]:
        """z_T and the latents after each of the first ``n`` steps."""
        latents = [self._z_start(x, noise)]
        for index in range(n):
            latents.append(self._next(latents[-1], x, noise.steps[index], self.schedule.step(index)))
        return latents

    def _next(self, z_t: torch.Tensor, x: torch.Tensor, noise: torch.Tensor, step: Step) -> torch.Tensor:
        return posterior_mean(z_t, x, step) + PROCESSES[self.process].spread(step) * noise

    # ---- rates ----------------------------------------------------------------------------------------------

    def _step_rate(self, x: torch.Tensor, z_t: torch.Tensor, noise: torch.Tensor, step: Step) -> torch.Tensor:
        return self._step_bits(x, z_t, noise, step).sum() / _pixels(x)

    def _step_bits(self, x: torch.Tensor, z_t: torch.Tensor, noise: torch.Tensor, step: Step) -> torch.Tensor:
        """Bits of each coordinate of one step, [B, C, H, W]; of a Gaussian step its KL divergence."""
        z_s = self._next(z_t, x, noise, step)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            prediction = self.denoiser.predict_all(z_t, z_s, step)
        prediction = Prediction(prediction.x_hat.to(x.dtype), prediction.scale.to(x.dtype))
        if self.process == "gaussian":
            return gaussian.step_kl_bits(x, prediction, step, levels=self.levels)
        return step_bits(z_s, z_t, prediction, step, density=self.denoiser.density, levels=self.levels)

    def _ends(self, x: torch.Tensor, z_0: torch.Tensor) -> Rates:
        """What the bound has besides its steps: the KL of z_T to the prior, and x given z_0."""
        ends: Rates = {}
        if self.start == "posterior":
            ends["prior"] = _prior_bits(x, self.schedule.step(0)).sum() / _pixels(x)
        if self.last_stage:
            last = self.schedule.step(self.schedule.n_steps - 1)
            ends["last_stage"] = last_stage_bits(x, z_0, last, self.levels).sum() / _pixels(x)
        return ends

    def _random_steps(self, x: torch.Tensor, noise: Noise, steps: torch.Tensor) -> tuple[torch.Tensor, Rates]:
        z_t, z_0 = self._marginals(x, noise, steps)
        noises = torch.stack(noise.steps)[steps, torch.arange(len(x), device=x.device)]
        if self.denoiser.mixes_steps:
            bits = self._step_bits(x, z_t, noises, self.schedule.steps_of(steps)).flatten(1).sum(1)
        else:
            bits = torch.zeros(len(x), dtype=x.dtype, device=x.device)
            for index in steps.unique().tolist():
                rows = (steps == index).nonzero()[:, 0]
                part = self._step_bits(x[rows], z_t[rows], noises[rows], self.schedule.step(index))
                bits = bits.index_add(0, rows, part.flatten(1).sum(1))
        mean = bits.mean() * (len(x) / _pixels(x))
        total, rates = self._sum({"steps": self.schedule.n_steps * mean, **self._ends(x, z_0)})
        for index in steps.unique().tolist() if self.schedule.n_steps <= MAX_REPORTED else ():
            rates[f"step_{index + 1}"] = bits[steps == index].detach().mean() * (len(x) / _pixels(x))
        return total, rates

    def _marginals(self, x: torch.Tensor, noise: Noise, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each sample's latent before its own step, and z_0, without a loop over the steps.

        r_t = z_t - alpha_t x follows r_s = z_weight r_t + spread u, and z_weight is the ratio of sigma^2 / alpha at s
        and t: r alpha / sigma^2 is a sum over the steps so far.
        """
        every = self.schedule.steps_of(torch.arange(self.schedule.n_steps, device=x.device))
        first = self.schedule.step(0)
        grow = every.alpha_s / every.sigma_s**2  # type: ignore[operator]
        added = torch.stack(noise.steps) * (PROCESSES[self.process].spread(every) * grow)[:, None]
        start = (self._z_start(x, noise) - first.alpha_t * x) * (first.alpha_t / first.sigma_t**2)
        sums = torch.cat([start[None], start + added.cumsum(0)])
        mine = self.schedule.steps_of(steps)
        at = sums[steps, torch.arange(len(x), device=x.device)]
        last = self.schedule.step(self.schedule.n_steps - 1)
        z_0 = last.alpha_s * x + sums[-1] * (last.sigma_s**2 / last.alpha_s)
        return mine.alpha_t * x + at * (mine.sigma_t**2 / mine.alpha_t), z_0


MAX_REPORTED = 32
"""With more steps than this, their single rates are not reported."""


def _pixels(x: torch.Tensor) -> float:
    return x.numel() / x.shape[1]


def _prior_bits(x: torch.Tensor, first: Step) -> torch.Tensor:
    """KL(q(z_T | x) || N(0, 1)) of each coordinate, in bits."""
    alpha2, sigma2 = first.alpha_t**2, first.sigma_t**2
    log_sigma2 = sigma2.log() if isinstance(sigma2, torch.Tensor) else math.log(sigma2)
    return 0.5 * (alpha2 * x**2 + sigma2 - 1 - log_sigma2) / math.log(2)
