"""The iterations of training: each draws a batch, takes an optimizer step and updates the averaged weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion.levels import IMAGE_LEVELS, Levels
from uqdm.model.denoiser import Denoiser
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.schedule import Schedule
from uqdm.training.averages import Averages
from uqdm.training.data import Feed, Source
from uqdm.training.objective import LossWeights, Objective, Rates
from uqdm.training.recipe import TrainingPlan, TrainingRecipe

AHEAD = 2  # batches of slow sources that are read while the network works
MAX_GAMMA = 30.0
MIN_WIDTH = 2.0**-16
"""Narrower steps of a learned schedule than this would overflow the coder's lattice."""


class TrainingError(ValueError):
    """Training cannot continue; the message says at which iteration and why."""


@dataclass(frozen=True)
class Batch:
    """The samples of one iteration, uint8 [b, H, W, C]: this worker's part of ``n`` in all."""

    images_uint8: np.ndarray
    n: int
    rows: slice
    """Rows of the part in the whole batch."""
    steps: int | np.ndarray | None
    """The steps that all n samples train: see :meth:`uqdm.training.objective.Objective.forward`."""


@dataclass(frozen=True)
class TrainingProgress:
    """A run after an iteration. Rates are running means in bits per pixel (see ``Rates``); nan before the first one."""

    iteration: int
    seconds: float
    rates_bpp: dict[str, float]
    grad_norm: float
    learning_rate: float
    schedule: Schedule
    only_step: int | None = None
    """The step that is trained, where each step is trained by itself."""

    @property
    def step_bpp(self) -> list[float]:
        """Rate of each step."""
        return [self.rates_bpp.get(f"step_{i + 1}", math.nan) for i in range(self.schedule.n_steps)]

    @property
    def total_bpp(self) -> float:
        """The sum of the rates that are known so far."""
        steps = [self.rates_bpp["steps"]] if "steps" in self.rates_bpp else self.step_bpp
        ends = [self.rates_bpp[name] for name in ("prior", "last_stage") if name in self.rates_bpp]
        return sum(rate for rate in (*steps, *ends) if not math.isnan(rate))


class Training:
    """The state of a training run, all of which a checkpoint holds; it advances by one iteration at a time.

    With several workers each has one of these, with the same random streams; each takes its part of every batch.
    ``only_step`` is the step, where each is trained by itself. ``wrap`` makes the module that computes the loss of the
    objective, by default the objective itself. ``rate_factor`` multiplies the recipe's learning rate, for
    experiments with a time limit.
    """

    @float32_arithmetic()
    def __init__(
        self,
        objective: Objective,
        plan: TrainingPlan,
        source: Source,
        image_size: int,
        *,
        device: str = "cpu",
        worker: int = 0,
        n_workers: int = 1,
        only_step: int | None = None,
        wrap: Callable[[Objective], nn.Module] = lambda objective: objective,
    ):
        self.objective = objective.to(device)
        self.plan, self.source, self.image_size, self.device = plan, source, image_size, torch.device(device)
        learning, (data_seed, noise_seed) = plan.learning, plan.seeds
        self.worker, self.n_workers, self.only_step = worker, n_workers, only_step
        groups: list[dict[str, Any]] = [{"params": list(self.objective.denoiser.parameters())}]
        if self.objective.schedule.is_learned:  # no weight decay: zero is no special value of them
            groups.append({"params": list(self.objective.schedule.parameters()), "weight_decay": 0.0})
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=learning.learning_rate,
            betas=learning.betas,
            weight_decay=learning.weight_decay,
        )
        self.averages = Averages(self.objective, learning.ema_decay)
        self.noise = torch.Generator(self.device).manual_seed(noise_seed)
        torch.manual_seed(noise_seed)  # dropout
        self.iteration, self.seconds, self.rate_factor = 0, 0.0, 1.0
        self.means: dict[str, float] = {}
        self.start_feed(np.random.default_rng(data_seed))
        self.objective.train()
        if learning.compile:
            self.objective.denoiser.compile()
        self._loss = wrap(self.objective)

    def start_feed(self, rng: np.random.Generator) -> None:
        """Starts to draw batches with ``rng``, from the current iteration on."""
        self.feed = Feed(self._draw, rng, self.iteration, ahead=AHEAD if self.source.is_slow else 0)

    # ---- an iteration ---------------------------------------------------------------------------------------

    @float32_arithmetic()
    def advance(self) -> TrainingProgress:
        """Trains for one iteration. Raises :class:`TrainingError` where a loss, gradient or schedule is unusable."""
        began = time.monotonic()
        batch = self.feed.next()
        learning_rate = self.rate_factor * self.plan.rate_at(self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss, rates = self._loss(*self._inputs(batch))
        self._check_loss(loss, batch)
        loss.backward()
        grad_norm = float(nn.utils.clip_grad_norm_(self.objective.parameters(), self.plan.learning.clip_norm))
        if not math.isfinite(grad_norm):
            raise TrainingError(f"iteration {self.iteration}: the gradient's norm is {grad_norm}; {_REMEDY}")
        self.optimizer.step()
        self._check_schedule()
        self.averages.update(self.objective)
        for name, rate in self._of_all_workers(rates).items():
            self.means[name] = _running(self.means.get(name, math.nan), rate)
        self.iteration += 1
        self.seconds += time.monotonic() - began
        schedule = self.objective.schedule.fixed()
        means = dict(self.means)
        return TrainingProgress(self.iteration, self.seconds, means, grad_norm, learning_rate, schedule, self.only_step)

    def _draw(self, rng: np.random.Generator, iteration: int) -> Batch:
        choice = self.plan.choose(iteration, self.objective.schedule.n_steps, rng)
        drawn = self.source.draw(choice.n, choice.size or self.image_size, rng)
        rows = slice(self.worker * choice.n // self.n_workers, (self.worker + 1) * choice.n // self.n_workers)
        return Batch(self.source.load(drawn[rows]), choice.n, rows, choice.steps)

    def _inputs(self, batch: Batch) -> tuple[Any, ...]:
        x = self.objective.levels.to_data(batch.images_uint8).to(self.device)
        height, width, channels = batch.images_uint8.shape[1:]

        def blank() -> torch.Tensor:  # in the memory order of x; of all workers' samples, so that streams stay alike
            return torch.empty((batch.n, height, width, channels), device=self.device).permute(0, 3, 1, 2)

        n_noises = batch.steps + 1 if isinstance(batch.steps, int) else self.objective.schedule.n_steps
        noise = self.objective.draw(blank, n_noises, self.noise)
        mine = noise if self.n_workers == 1 else noise.rows(batch.rows)
        extra = LossWeights(self.plan.x_hat_weight_at(self.iteration), self.plan.learning.unbounded_at(self.iteration))
        if isinstance(batch.steps, np.ndarray):
            return x, mine, torch.from_numpy(batch.steps[batch.rows]).to(self.device), extra
        return x, mine, batch.steps, extra

    def _of_all_workers(self, rates: Rates) -> dict[str, float]:
        """Means over the workers that had samples of the step."""
        if self.n_workers == 1:
            return {name: float(rate) for name, rate in rates.items()}
        names = [
            "prior",
            "steps",
            "last_stage",
            "x_hat_error",
            *(f"step_{i + 1}" for i in range(self.objective.schedule.n_steps)),
        ]
        sums = torch.tensor([[float(rates.get(name, 0.0)), float(name in rates)] for name in names], device=self.device)
        torch.distributed.all_reduce(sums)
        return {name: total / count for name, (total, count) in zip(names, sums.tolist(), strict=True) if count}

    # ---- checks ------------------------------------------------------------------------------------------

    def _check_loss(self, loss: torch.Tensor, batch: Batch) -> None:
        if not torch.isfinite(loss):
            what = f"the rate of step {batch.steps + 1}" if isinstance(batch.steps, int) else "the rate"
            raise TrainingError(f"iteration {self.iteration}: {what} is {loss.item()} bpp; {_REMEDY}")

    def _check_schedule(self) -> None:
        if self.objective.schedule.is_learned:
            fault = schedule_fault(self.objective.schedule.fixed())
            if fault:
                raise TrainingError(
                    f"iteration {self.iteration}: the learned schedule is degenerate ({fault}); {_REMEDY}, or fix it"
                )


_REMEDY = "lower the learning rate"


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


def _running(mean: float, value: float) -> float:
    return value if math.isnan(mean) else 0.99 * mean + 0.01 * value


@float32_arithmetic()
def make_objective(
    denoiser: Denoiser,
    schedule: Schedule,
    recipe: TrainingRecipe,
    *,
    process: str = "uniform",
    levels: Levels = IMAGE_LEVELS,
) -> Objective:
    """The objective that a recipe asks for."""
    return Objective(
        denoiser,
        LearnedSchedule(schedule, recipe.learned_parameters),
        process=process,
        levels=levels,
        start=recipe.starts_from,
        last_stage=recipe.counts_last_stage,
        autocast=recipe.learning.bfloat16,
    )
