"""The training loss: rates of the process, in bits per pixel, as a function of weights and schedule.

z_s is a sample of the forward process written as a function of its noise, z_s = mean + spread u. So the gradient of a
learned schedule is complete: it flows through the rates' constants and through every latent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion import gaussian
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.diffusion.process import last_stage_bits, posterior_mean, step_bits
from uqdm.diffusion.window import Window
from uqdm.model.denoiser import Denoiser, Opened, Prediction
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.schedule import Schedule, Step
from uqdm.model.stepwise import SIGMA_DATA
from uqdm.training.contract import Batch, Objective, Rates
from uqdm.training.recipe import JointRecipe, SeparateRecipe, TrainingPlan

MAX_GAMMA = 30.0
MIN_WIDTH = 2.0**-16
"""Narrower steps of a learned schedule than this would overflow the coder's lattice."""


@dataclass(frozen=True)
class Process:
    """The parts of a process that training needs."""

    draw: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
    """Fills a tensor with the noise of a step, in place."""
    spread: Callable[[Step], Any]
    """Factor of the noise."""


def _centred_uniform(blank: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return blank.uniform_(generator=generator) - 0.5


PROCESSES = {
    "uniform": Process(_centred_uniform, lambda step: step.width),
    "gaussian": Process(lambda blank, g: blank.normal_(generator=g), lambda step: step.posterior_sd),
}


@dataclass(frozen=True)
class LossWeights:
    """LossWeights of the auxiliary loss terms: x_hat's error, and the rate of the densities without bounds."""

    x_hat: float = 0.0
    unbounded: float = 0.0


RATE_ONLY = LossWeights()


@dataclass(frozen=True)
class BatchNoise:
    """All noise of a batch: ``start`` N(0, 1) for z_T, then the noise of each step, from the first on."""

    start: torch.Tensor
    steps: list[torch.Tensor]

    def rows(self, rows: slice | torch.Tensor) -> BatchNoise:
        """The noise of some samples."""
        return BatchNoise(self.start[rows], [noise[rows] for noise in self.steps])


class DiffusionObjective(Objective):
    """A denoiser with its schedule, and the rates that training minimizes.

    Rates are ``prior``, ``step_1`` .. ``step_T`` and ``last_stage``, those that were computed, and ``x_hat_error``, the
    mean squared error of x_hat over that of the best linear estimate of white data.

    ``start``: z_T is drawn from its ``posterior`` q(z_T | x), or as in coding from the ``prior``. With ``autocast`` the
    network computes in bfloat16 where torch allows it; rates are float32.
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

    @property
    def n_choices(self) -> int:
        """The steps of the schedule."""
        return self.schedule.n_steps

    @property
    def n_steps(self) -> int:
        """See :attr:`Objective.n_steps`."""
        return self.schedule.n_steps

    @property
    def rate_names(self) -> list[str]:
        """See :attr:`Objective.rate_names`."""
        return ["prior", "steps", "last_stage", "x_hat_error", *(f"step_{i + 1}" for i in range(self.n_choices))]

    def groups(self) -> list[dict[str, Any]]:
        """See :meth:`Objective.groups`; a learned schedule has no weight decay, since 0 is no special value of it."""
        groups: list[dict[str, Any]] = [{"params": list(self.denoiser.parameters())}]
        if self.schedule.is_learned:
            groups.append({"params": list(self.schedule.parameters()), "weight_decay": 0.0})
        return groups

    def inputs(self, batch: Batch, plan: TrainingPlan, iteration: int, generator: torch.Generator) -> tuple[Any, ...]:
        """See :meth:`Objective.inputs`."""
        device = generator.device
        x = self.levels.to_data(batch.samples).to(device)
        height, width, channels = batch.samples.shape[1:]

        def blank() -> torch.Tensor:  # in the memory order of x; of all workers' samples
            return torch.empty((batch.n, height, width, channels), device=device).permute(0, 3, 1, 2)

        n_noises = batch.steps + 1 if isinstance(batch.steps, int) else self.n_choices
        noise = self.draw(blank, n_noises, generator)
        mine = noise if len(x) == batch.n else noise.rows(batch.rows)
        extra = LossWeights(plan.x_hat_weight_at(iteration), plan.learning.unbounded_at(iteration))
        if isinstance(batch.steps, np.ndarray):
            return x, mine, torch.from_numpy(batch.steps[batch.rows]).to(device), extra
        return x, mine, batch.steps, extra

    def fault(self) -> str | None:
        """See :meth:`Objective.fault`."""
        return schedule_fault(self.schedule.fixed()) if self.schedule.is_learned else None

    def settings(self) -> dict[str, float]:
        """The schedule's slope and gamma_max."""
        schedule = self.schedule.fixed()
        return {"slope": schedule.slope, "gamma_max": schedule.gamma_max}

    def compile_networks(self) -> None:
        """See :meth:`Objective.compile_networks`."""
        self.denoiser.compile()

    def draw(self, blank: Callable[[], torch.Tensor], n_steps: int, generator: torch.Generator) -> BatchNoise:
        """Draws the noise of z_T, then that of ``n_steps`` steps; ``blank`` makes an empty tensor."""
        process = PROCESSES[self.process]
        start = blank().normal_(generator=generator)
        return BatchNoise(start, [process.draw(blank(), generator) for _ in range(n_steps)])

    def forward(
        self, x: torch.Tensor, noise: BatchNoise, steps: int | torch.Tensor | None, weights: LossWeights = RATE_ONLY
    ) -> tuple[torch.Tensor, Rates]:
        """The loss in bits per pixel, and the rates in it (without gradient). x is [B, C, H, W].

        ``steps`` is one step (its rate is the loss), a step for each sample, int64 [B] (T times their mean rate,
        with the ends of the bound), or None (the whole bound).
        """
        if isinstance(steps, torch.Tensor):
            return self._random_steps(x, noise, steps, weights)
        chosen = range(self.schedule.n_steps) if steps is None else [steps]
        path = self._path(x, noise, max(chosen) + 1)
        losses, rates, errors = [], {}, []
        for index in chosen:
            cost = self._cost(x, path[index], path[index + 1].z, self.schedule.step(index), weights)
            losses.append(cost.rate)
            rates[f"step_{index + 1}"] = cost.rate
            errors.append(cost.x_hat_error)
            if weights.x_hat:
                losses.append(weights.x_hat * cost.x_hat_error)
            if weights.unbounded:
                losses.append(weights.unbounded * cost.unbounded)
        if steps is None:
            ends = self._ends(x, path[-1].z)
            losses, rates = [*losses, *ends.values()], {**rates, **ends}
        return _sum(losses), _detached({**rates, "x_hat_error": _sum(errors) / len(errors)})

    # ---- latents --------------------------------------------------------------------------------------------

    def _z_start(self, x: torch.Tensor, noise: BatchNoise) -> torch.Tensor:
        if self.start == "prior":
            return noise.start
        first = self.schedule.step(0)
        return first.alpha_t * x + first.sigma_t * noise.start

    def _path(self, x: torch.Tensor, noise: BatchNoise, n: int) -> list[_Latent]:
        """z_T and the latents after each of the first ``n`` steps."""
        z = self._z_start(x, noise)
        path = [_Latent(z, Window.everything(x) if self.denoiser.bounded else None)]
        for index in range(n):
            step = self.schedule.step(index)
            z_s, window = self._next(z, x, noise.steps[index], step), path[-1].window
            path.append(_Latent(z_s, None if window is None else window.after(z, z_s, step)))
            z = z_s
        return path

    def _next(self, z_t: torch.Tensor, x: torch.Tensor, noise: torch.Tensor, step: Step) -> torch.Tensor:
        return posterior_mean(z_t, x, step) + PROCESSES[self.process].spread(step) * noise

    # ---- rates ----------------------------------------------------------------------------------------------

    def _cost(self, x: torch.Tensor, known: _Latent, z_s: torch.Tensor, step: Step, weights: LossWeights) -> _Cost:
        opened, prediction = self._predict(x, known.z, z_s, step)
        rate = self._bits(x, known, z_s, prediction, step).sum() / _pixels(x)
        separate = weights.unbounded > 0 and known.window is not None
        unbounded = self._bits(x, _Latent(known.z), z_s, prediction, step).sum() / _pixels(x) if separate else rate
        error = (opened.x_hat.to(x.dtype) - x).square().mean() / _best_error(step)
        return _Cost(rate, unbounded, error)

    def _predict(self, x: torch.Tensor, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> tuple[Opened, Prediction]:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            opened, prediction = self.denoiser.open_all(z_t, z_s, step)
        # In an autocast of the caller, torch would keep weights that were rounded before the optimizer's next step.
        torch.clear_autocast_cache()
        return opened, Prediction(prediction.x_hat.to(x.dtype), prediction.scale.to(x.dtype))

    def _bits(
        self, x: torch.Tensor, known: _Latent, z_s: torch.Tensor, prediction: Prediction, step: Step
    ) -> torch.Tensor:
        """Bits of each coordinate of one step, [B, C, H, W]; of a Gaussian step its KL divergence."""
        if self.process == "gaussian":
            return gaussian.step_kl_bits(x, prediction, step, levels=self.levels)
        density, levels = self.denoiser.density, self.levels
        return step_bits(z_s, known.z, prediction, step, known.window, density=density, levels=levels)

    def _ends(self, x: torch.Tensor, z_0: torch.Tensor) -> Rates:
        """The terms of the bound besides its steps: the KL of z_T to the prior, and x given z_0."""
        ends: Rates = {}
        if self.start == "posterior":
            ends["prior"] = gaussian.prior_kl_bits(x, self.schedule.step(0)).sum() / _pixels(x)
        if self.last_stage:
            last = self.schedule.step(self.schedule.n_steps - 1)
            ends["last_stage"] = last_stage_bits(x, z_0, last, self.levels).sum() / _pixels(x)
        return ends

    def _random_steps(
        self, x: torch.Tensor, noise: BatchNoise, steps: torch.Tensor, weights: LossWeights
    ) -> tuple[torch.Tensor, Rates]:
        n_steps = self.schedule.n_steps
        z_t, z_0 = self._marginals(x, noise, steps)
        noises = torch.stack(noise.steps)[steps, torch.arange(len(x), device=x.device)]
        bits, errors = torch.zeros(2, len(x), dtype=x.dtype, device=x.device)
        for rows, step in self._groups(steps):
            z_s = self._next(z_t[rows], x[rows], noises[rows], step)
            opened, prediction = self._predict(x[rows], z_t[rows], z_s, step)
            part = self._bits(x[rows], _Latent(z_t[rows]), z_s, prediction, step).flatten(1).sum(1)
            error = ((opened.x_hat.to(x.dtype) - x[rows]) ** 2 / _best_error(step)).flatten(1).mean(1)
            bits, errors = bits.index_add(0, rows, part), errors.index_add(0, rows, error)
        per_pixel = bits * (len(x) / _pixels(x))
        rates = {"steps": n_steps * per_pixel.mean(), **self._ends(x, z_0)}
        losses = [*rates.values(), *([weights.x_hat * n_steps * errors.mean()] if weights.x_hat else [])]
        for index in steps.unique().tolist() if n_steps <= MAX_REPORTED else ():
            rates[f"step_{index + 1}"] = per_pixel[steps == index].mean()
        return _sum(losses), _detached({**rates, "x_hat_error": errors.mean()})

    def _groups(self, steps: torch.Tensor) -> list[tuple[torch.Tensor, Step]]:
        """Rows that one call of the network can process, with their step or steps."""
        if self.denoiser.mixes_steps:
            return [(torch.arange(len(steps), device=steps.device), self.schedule.steps_of(steps))]
        indices = steps.unique().tolist()
        return [((steps == index).nonzero()[:, 0], self.schedule.step(index)) for index in indices]

    def _marginals(self, x: torch.Tensor, noise: BatchNoise, steps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
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


@dataclass(frozen=True)
class _Latent:
    """A latent, and the values of x that are possible after it (None where the density is not bounded)."""

    z: torch.Tensor
    window: Window | None = None


@dataclass(frozen=True)
class _Cost:
    rate: torch.Tensor
    unbounded: torch.Tensor
    """The rate of the density without bounds; equal to ``rate`` where it has no bounds, or no weight in the loss."""
    x_hat_error: torch.Tensor


def _best_error(step: Step) -> Any:
    """Mean squared error of the best linear estimate of white data from z_t."""
    return step.sigma_t**2 * SIGMA_DATA**2 / (step.alpha_t**2 * SIGMA_DATA**2 + step.sigma_t**2)


def _sum(values: list[torch.Tensor]) -> torch.Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _detached(rates: Rates) -> Rates:
    return {name: rate.detach() for name, rate in rates.items()}


MAX_REPORTED = 32
"""Rates of single steps are not reported for more steps than this."""


def _pixels(x: torch.Tensor) -> float:
    return x.numel() / x.shape[1]


def schedule_fault(schedule: Schedule) -> str | None:
    """The reason why no file can be coded with a schedule, or None.

    >>> schedule_fault(Schedule(-1.0, 6.0, 4))
    'slope -1 is not positive'
    """
    if not (math.isfinite(schedule.slope) and math.isfinite(schedule.gamma_max)):
        return f"slope {schedule.slope}, gamma_max {schedule.gamma_max}"
    if schedule.slope <= 0:
        return f"slope {schedule.slope:.4g} is not positive"
    gamma_min = schedule.gamma_max - schedule.slope
    if gamma_min < -MAX_GAMMA or schedule.gamma_max > MAX_GAMMA:
        return f"gamma from {schedule.gamma_max:.4g} to {gamma_min:.4g} leaves -{MAX_GAMMA:g}..{MAX_GAMMA:g}"
    width = schedule.step(schedule.n_steps - 1).width
    return None if width >= MIN_WIDTH else f"the last step's noise is only {width:.3g} wide"


@float32_arithmetic()
def make_objective(
    denoiser: Denoiser,
    schedule: Schedule,
    recipe: JointRecipe | SeparateRecipe,
    *,
    process: str = "uniform",
    levels: Levels = IMAGE_LEVELS,
) -> DiffusionObjective:
    """The objective that a recipe asks for."""
    return DiffusionObjective(
        denoiser,
        LearnedSchedule(schedule, recipe.learned_parameters),
        process=process,
        levels=levels,
        start=recipe.starts_from,
        last_stage=recipe.counts_last_stage,
        autocast=recipe.learning.bfloat16,
    )
