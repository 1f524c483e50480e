"""How to train: what each iteration draws, and how fast it learns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from uqdm.model.learned_schedule import LEARNABLE


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What all recipes have: how weights follow gradients, and what is beside the rate in the loss."""

    learning_rate: float = 2e-3
    warm_up: int = 100
    """Iterations of linear warm-up."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    unbounded_weight: float = 0.0
    """Weight of the rate without bounds at first; falls linearly to 0 over ``unbounded_until`` iterations."""
    unbounded_until: int = 5000
    bfloat16: bool = True
    compile: bool = False
    """Whether the network goes through ``torch.compile``."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip_norm"):
            require(getattr(self, name) > 0, name, getattr(self, name), "must be positive")
        for name in ("weight_decay", "warm_up", "seed", "unbounded_weight"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "must not be negative")
        for name, value in (("ema_decay", self.ema_decay), ("betas[0]", self.betas[0]), ("betas[1]", self.betas[1])):
            require(0 <= value < 1, name, value, "must be in [0, 1)")

    def warm(self, iteration: int) -> float:
        """Share of the learning rate that warm-up allows, at an iteration from 0 on."""
        return min(1.0, (iteration + 1) / self.warm_up) if self.warm_up else 1.0

    def unbounded_at(self, iteration: int) -> float:
        """Weight of the rate without bounds at an iteration from 0 on."""
        return self.unbounded_weight * max(0.0, 1 - iteration / max(1, self.unbounded_until))


OBJECTIVES = ("steps", "nelbo", "random_step")
STARTS = ("prior", "posterior")


@dataclass(frozen=True, kw_only=True)
class Recipe(Learning):
    """How to train. Lists have an entry for each step of the schedule.

    The objective is one of

    - ``steps``: each iteration trains one step, drawn by ``step_shares``, with a batch and crops of its own sizes;
    - ``nelbo``: the negative evidence lower bound over all T steps (eq. 1, Yang et al. 2025);
    - ``random_step``: the same, estimated by T times the rate of one random step for each sample.
    """

    n_iterations: int
    step_shares: list[float] | None = None
    """Probability that an iteration trains the step."""
    batch_sizes: list[int] | None = None
    crop_sizes: list[int] | None = None
    x_hat_weight: float = 0.0
    """Weight, beside the rate in bits per pixel, of x_hat's squared error over that of the best linear estimate."""
    decay: str = "cosine"
    """How the learning rate falls after warm-up: ``cosine`` (to 2 %) or ``none``."""
    objective: str = "steps"
    batch_size: int | None = None
    """For objectives other than ``steps``; with several workers, of all together."""
    crop_size: int | None = None
    """The same; by default the model's image size."""
    start: str | None = None
    """z_T of a sample: ``prior`` (as coding draws it) or ``posterior`` (q(z_T | x), whose KL to the prior is counted).
    By default the prior for ``steps``, else the posterior."""
    last_stage: bool | None = None
    """Whether the rate of x given z_0 counts; by default for objectives other than ``steps``."""
    learned_schedule: list[str] = field(default_factory=list)
    """What is learned of the schedule: none, or any of ``slope`` and ``gamma_max``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_step = self.objective == "steps"
        lists = {name: getattr(self, name) for name in ("step_shares", "batch_sizes", "crop_sizes")}
        require(self.objective in OBJECTIVES, "objective", self.objective, f"choose one of {', '.join(OBJECTIVES)}")
        require(self.decay in ("cosine", "none"), "decay", self.decay, "choose cosine or none")
        require(self.start in (None, *STARTS), "start", self.start, f"choose one of {', '.join(STARTS)}")
        for name, value in lists.items():
            require((value is not None) == one_step, name, value, "must be given for the objective steps, and only so")
        require((self.batch_size is None) == one_step, "batch_size", self.batch_size, "not for the objective steps")
        if self.step_shares is not None:
            total = sum(self.step_shares)
            require(abs(total - 1) < 1e-9 and min(self.step_shares) >= 0, "step_shares", total, "must sum to 1")
        require(not (one_step and self.last_stage), "last_stage", True, "not for the objective steps")
        require(self.x_hat_weight >= 0, "x_hat_weight", self.x_hat_weight, "must not be negative")
        require(self.n_iterations > 0, "n_iterations", self.n_iterations, "must be positive")
        sizes = [*(self.batch_sizes or []), *(self.crop_sizes or []), self.batch_size or 1, self.crop_size or 1]
        require(min(sizes) >= 1, "batch_sizes, crop_sizes", sizes, "must be at least 1")
        unknown = sorted(set(self.learned_schedule) - set(LEARNABLE))
        require(not unknown, "learned_schedule", unknown, f"choose from {', '.join(LEARNABLE)}")
        require(
            not (self.learned_schedule and (one_step or not self.counts_last_stage)),
            "learned_schedule",
            self.learned_schedule,
            "a schedule is learned from the whole bound: objective nelbo or random_step, with the last stage",
        )

    @property
    def counts_last_stage(self) -> bool:
        """Whether the objective has the rate of x given z_0."""
        return self.objective != "steps" if self.last_stage is None else self.last_stage

    @property
    def starts_from(self) -> str:
        """Where z_T comes from, one of ``STARTS``."""
        return self.start or ("prior" if self.objective == "steps" else "posterior")

    @property
    def counts(self) -> dict[str, int]:
        """Lengths of the lists that have an entry for each step."""
        lists = {name: getattr(self, name) for name in ("step_shares", "batch_sizes", "crop_sizes")}
        return {name: len(value) for name, value in lists.items() if value is not None}

    @property
    def largest_crop(self) -> int:
        """In pixels; 0 where it is the model's image size."""
        return max([*(self.crop_sizes or []), self.crop_size or 0])

    @property
    def all_batch_sizes(self) -> set[int]:
        """Every size that a batch can have."""
        return {*(self.batch_sizes or [])} if self.batch_size is None else {self.batch_size}

    @property
    def learning(self) -> Learning:
        """Itself."""
        return self

    @property
    def seeds(self) -> tuple[Any, int]:
        """Of the data and of the noise."""
        return self.seed, self.seed

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> Choice:
        """What an iteration trains; the randomness is drawn from ``rng``."""
        if self.step_shares is not None and self.batch_sizes is not None and self.crop_sizes is not None:
            index = int(rng.choice(n_steps, p=self.step_shares))
            return Choice(index, self.batch_sizes[index], self.crop_sizes[index])
        n = self.batch_size or 1
        return Choice(rng.integers(n_steps, size=n) if self.objective == "random_step" else None, n, self.crop_size)

    def x_hat_weight_at(self, iteration: int) -> float:
        """Always the same."""
        return self.x_hat_weight

    def rate_at(self, iteration: int) -> float:
        """Learning rate: linear warm-up, then (or at once) a cosine down to 2 %, unless ``decay`` is ``none``."""
        warm = self.warm(iteration)
        if self.decay == "none":
            return self.learning_rate * warm
        return self.learning_rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * iteration / self.n_iterations)))


@dataclass(frozen=True)
class Choice:
    """What an iteration trains: one step, a step for each sample, or (None) all; on ``n`` crops of ``size`` pixels."""

    steps: int | np.ndarray | None
    n: int
    size: int | None
    """None is the model's image size."""


class Plan(Protocol):
    """What a trainer asks of a recipe, or of the part of it that is about one step."""

    @property
    def learning(self) -> Learning:
        """The options that are the same for all iterations."""

    @property
    def n_iterations(self) -> int:
        """How many there are."""

    @property
    def seeds(self) -> tuple[Any, int]:
        """Of the data and of the noise."""

    @property
    def all_batch_sizes(self) -> set[int]:
        """Every size that a batch can have."""

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> Choice:
        """What an iteration trains; the randomness is drawn from ``rng``."""

    def rate_at(self, iteration: int) -> float:
        """Learning rate."""

    def x_hat_weight_at(self, iteration: int) -> float:
        """Weight of the error of x_hat."""


@dataclass(frozen=True, kw_only=True)
class SeparateRecipe(Learning):
    """How to train each step by itself, for models whose steps share no weights. Lists have an entry for each step.

    A step's training depends on recipe, data and step alone, not on how many are trained at once.
    """

    iterations: list[int]
    batch_sizes: list[list[list[int]]]
    """For each step pairs of a first iteration, from 0 on, and the batch size from there."""
    x_hat_weights: list[list[list[float]]]
    """For each step such pairs with the weight of the error of x_hat, for pictures, beside the rate in bpp."""
    crop_sizes: list[int]
    cool_down: list[int]
    """The last iterations, over which the learning rate falls linearly to 0; before them it is constant."""
    learning_rates: list[float] | None = None
    """Of each step; by default ``learning_rate`` for all."""
    unbounded_weight: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("batch_sizes", "x_hat_weights"):
            for pairs in getattr(self, name):
                begins = bool(pairs) and all(len(pair) == 2 for pair in pairs) and pairs[0][0] == 0
                require(begins, name, pairs, "the pairs [iteration, value] of each step must begin at iteration 0")
        require(min(self.iterations) >= 1, "iterations", self.iterations, "must be at least 1")
        require(min(self.crop_sizes) >= 1, "crop_sizes", self.crop_sizes, "must be at least 1")
        rates = self.learning_rates or [self.learning_rate]
        require(min(rates) > 0, "learning_rates", rates, "must be positive")

    @property
    def n_iterations(self) -> int:
        """Of all steps together."""
        return sum(self.iterations)

    @property
    def counts(self) -> dict[str, int]:
        """Lengths of the lists that have an entry for each step."""
        names = ("iterations", "batch_sizes", "x_hat_weights", "crop_sizes", "cool_down", "learning_rates")
        return {name: len(getattr(self, name)) for name in names if getattr(self, name) is not None}

    @property
    def largest_crop(self) -> int:
        """In pixels."""
        return max(self.crop_sizes)

    def shortened(self, n_iterations: int) -> SeparateRecipe:
        """The same with so many iterations in all, in proportion."""
        share = n_iterations / self.n_iterations
        iterations, cool_down = (
            [max(1, round(share * count)) for count in counts] for counts in (self.iterations, self.cool_down)
        )
        return dataclasses.replace(self, iterations=iterations, cool_down=cool_down)


@dataclass(frozen=True)
class StepPlan:
    """The part of a :class:`SeparateRecipe` that is about one step."""

    recipe: SeparateRecipe
    index: int

    @property
    def learning(self) -> Learning:
        """The recipe's."""
        return self.recipe

    @property
    def n_iterations(self) -> int:
        """Of this step."""
        return self.recipe.iterations[self.index]

    @property
    def seeds(self) -> tuple[Any, int]:
        """Of the data and of the noise."""
        seed = self.recipe.seed
        return [seed, self.index], int(np.random.default_rng([seed, self.index, 1]).integers(2**62))

    @property
    def all_batch_sizes(self) -> set[int]:
        """Every size that a batch can have."""
        return {size for _, size in self.recipe.batch_sizes[self.index]}

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> Choice:
        """Always this step."""
        n = int(_at(self.recipe.batch_sizes[self.index], iteration))
        return Choice(self.index, n, self.recipe.crop_sizes[self.index])

    def x_hat_weight_at(self, iteration: int) -> float:
        """Weight of the error of x_hat at an iteration from 0 on."""
        return _at(self.recipe.x_hat_weights[self.index], iteration)

    def rate_at(self, iteration: int) -> float:
        """Learning rate at an iteration from 0 on."""
        left = (self.n_iterations - iteration) / max(1, self.recipe.cool_down[self.index])
        rates = self.recipe.learning_rates
        full = self.recipe.learning_rate if rates is None else rates[self.index]
        return full * min(self.recipe.warm(iteration), left)


def _at(pairs: Sequence[Sequence[float]], iteration: int) -> float:
    """The value of the last pair that begins at or before the iteration."""
    return next(value for first, value in reversed(pairs) if first <= iteration)


def require(holds: bool, name: str, value: Any, remedy: str) -> None:
    """Raises ValueError, naming an option and its value, unless it holds."""
    if not holds:
        raise ValueError(f"{name}={value}: {remedy}")
