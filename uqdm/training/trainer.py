"""The iterations of training: each draws a batch, takes an optimizer step and updates the averaged weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.training.averages import Averages
from uqdm.training.contract import Batch, Objective, Rates
from uqdm.training.data import Feed, Source
from uqdm.training.recipe import TrainingPlan

AHEAD = 2  # batches of slow sources that are read while the network works


class TrainingError(ValueError):
    """Training cannot continue; the message says at which iteration and why."""


@dataclass(frozen=True)
class TrainingProgress:
    """A run after an iteration. Rates are running means in bits per pixel (see ``Rates``); nan before the first one."""

    iteration: int
    seconds: float
    rates_bpp: dict[str, float]
    grad_norm: float
    learning_rate: float
    n_steps: int = 0
    """Steps of the schedule; 0 for models without one."""
    settings: dict[str, float] = field(default_factory=dict)
    """Learned settings that logs show."""
    only_step: int | None = None
    """The step that is trained, where each step is trained by itself."""

    @property
    def step_bpp(self) -> list[float]:
        """Rate of each step."""
        return [self.rates_bpp.get(f"step_{i + 1}", math.nan) for i in range(self.n_steps)]

    @property
    def total_bpp(self) -> float:
        """The sum of the rates that are known so far."""
        if "total" in self.rates_bpp:
            return self.rates_bpp["total"]
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
        self.optimizer = torch.optim.AdamW(
            self.objective.groups(),
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
            self.objective.compile_networks()
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
        loss, rates = self._loss(*self.objective.inputs(batch, self.plan, self.iteration, self.noise))
        self._check_loss(loss, batch)
        loss.backward()
        grad_norm = float(nn.utils.clip_grad_norm_(self.objective.parameters(), self.plan.learning.clip_norm))
        if not math.isfinite(grad_norm):
            raise TrainingError(f"iteration {self.iteration}: the gradient's norm is {grad_norm}; {_REMEDY}")
        self.optimizer.step()
        self._check_settings()
        self.averages.update(self.objective)
        for name, rate in self._of_all_workers(rates).items():
            self.means[name] = _running(self.means.get(name, math.nan), rate)
        self.iteration += 1
        self.seconds += time.monotonic() - began
        return TrainingProgress(
            self.iteration,
            self.seconds,
            dict(self.means),
            grad_norm,
            learning_rate,
            self.objective.n_steps,
            self.objective.settings(),
            self.only_step,
        )

    def _draw(self, rng: np.random.Generator, iteration: int) -> Batch:
        choice = self.plan.choose(iteration, self.objective.n_choices, rng)
        drawn = self.source.draw(choice.n, choice.size or self.image_size, rng)
        rows = slice(self.worker * choice.n // self.n_workers, (self.worker + 1) * choice.n // self.n_workers)
        return Batch(self.source.load(drawn[rows]), choice.n, rows, choice.steps)

    def _of_all_workers(self, rates: Rates) -> dict[str, float]:
        """Means over the workers that had samples of the step."""
        if self.n_workers == 1:
            return {name: float(rate) for name, rate in rates.items()}
        names = self.objective.rate_names
        sums = torch.tensor([[float(rates.get(name, 0.0)), float(name in rates)] for name in names], device=self.device)
        torch.distributed.all_reduce(sums)
        return {name: total / count for name, (total, count) in zip(names, sums.tolist(), strict=True) if count}

    # ---- checks ------------------------------------------------------------------------------------------

    def _check_loss(self, loss: torch.Tensor, batch: Batch) -> None:
        if not torch.isfinite(loss):
            what = f"the rate of step {batch.steps + 1}" if isinstance(batch.steps, int) else "the rate"
            raise TrainingError(f"iteration {self.iteration}: {what} is {loss.item()} bpp; {_REMEDY}")

    def _check_settings(self) -> None:
        fault = self.objective.fault()
        if fault:
            raise TrainingError(
                f"iteration {self.iteration}: the learned schedule is degenerate ({fault}); {_REMEDY}, or fix it"
            )


_REMEDY = "lower the learning rate"


def _running(mean: float, value: float) -> float:
    return value if math.isnan(mean) else 0.99 * mean + 0.01 * value
