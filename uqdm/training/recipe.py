"""Recipes of training: the samples of each iteration, its learning rate, and the weights of the loss terms.

There are five kinds, told apart by their keys: :class:`JointRecipe` trains all steps of a diffusion model together,
:class:`SeparateRecipe` each step by itself, :class:`TransformRecipe` all levels of a model of transform coding,
:class:`BandedRecipe` all steps of a process in bands, and :class:`RefineRecipe` a second stage.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np

from uqdm.model.denoiser import Denoiser
from uqdm.model.learned_schedule import LEARNABLE
from uqdm.model.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """Settings that both kinds of recipe have: the optimizer's, and the weight of an auxiliary loss term."""

    learning_rate: float = 2e-3
    warm_up: int = 100
    """Iterations of linear warm-up."""
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    unbounded_weight: float = 0.0
    """Weight of the rate of unbounded densities at the start; falls linearly to 0 in ``unbounded_until`` iterations."""
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
        """Factor of the learning rate by warm-up, 0 to 1, at an iteration counted from 0."""
        return min(1.0, (iteration + 1) / self.warm_up) if self.warm_up else 1.0

    def unbounded_at(self, iteration: int) -> float:
        """Weight of the rate of unbounded densities at an iteration counted from 0."""
        return self.unbounded_weight * max(0.0, 1 - iteration / max(1, self.unbounded_until))


OBJECTIVES = ("steps", "nelbo", "random_step")
STARTS = ("prior", "posterior")


@dataclass(frozen=True, kw_only=True)
class JointRecipe(LearningSettings):
    """Trains all steps of a model together. Lists have an entry for each step of the schedule.

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
    """Decay of the learning rate after warm-up: ``cosine`` (to 2 %) or ``none``."""
    objective: str = "steps"
    batch_size: int | None = None
    """For objectives other than ``steps``; with several workers, the sum over all of them."""
    crop_size: int | None = None
    """For objectives other than ``steps``; by default the model's image size."""
    start: str | None = None
    """Distribution of z_T: ``prior`` (as in coding) or ``posterior`` (q(z_T | x), whose KL to the prior is counted).
    By default the prior for ``steps``, else the posterior."""
    last_stage: bool | None = None
    """Whether the rate of x given z_0 counts; by default for objectives other than ``steps``."""
    learned_schedule: list[str] = field(default_factory=list)
    """Parameters of the schedule that are learned: none, or any of ``slope`` and ``gamma_max``."""

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
    def learned_parameters(self) -> Sequence[str]:
        """See :attr:`DiffusionRecipe.learned_parameters`."""
        return self.learned_schedule

    def faults(self, denoiser: Denoiser, schedule: Schedule, image_size: int) -> Iterator[str]:
        """See :meth:`DiffusionRecipe.faults`."""
        lists = {name: getattr(self, name) for name in ("step_shares", "batch_sizes", "crop_sizes")}
        yield from _list_faults(lists, schedule.n_steps)
        yield from _crop_faults([*(self.crop_sizes or []), self.crop_size or 0], image_size)
        if self.learned_schedule and not denoiser.learns_schedule:
            yield "recipe.learned_schedule: this kind of denoiser needs a fixed schedule"
        if self.objective == "random_step" and denoiser.bounded:
            yield "recipe.objective: densities that are bounded by earlier latents need steps or nelbo"

    def shortened(self, n_iterations: int) -> JointRecipe:
        """See :meth:`TrainingRecipe.shortened`."""
        return dataclasses.replace(self, n_iterations=n_iterations)

    def default_workers(self, n_cores: int) -> int:
        """See :meth:`TrainingRecipe.default_workers`: one, which uses all cores."""
        return 1

    def train(self, modes: TrainingModes) -> None:
        """See :meth:`TrainingRecipe.train`."""
        modes.train_together(self)

    @property
    def all_batch_sizes(self) -> set[int]:
        """Every size that a batch can have."""
        return {*(self.batch_sizes or [])} if self.batch_size is None else {self.batch_size}

    @property
    def learning(self) -> LearningSettings:
        """See :attr:`TrainingPlan.learning`."""
        return self

    @property
    def seeds(self) -> tuple[Any, int]:
        """See :attr:`TrainingPlan.seeds`."""
        return self.seed, self.seed

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> IterationPlan:
        """See :meth:`TrainingPlan.choose`."""
        if self.step_shares is not None and self.batch_sizes is not None and self.crop_sizes is not None:
            index = int(rng.choice(n_steps, p=self.step_shares))
            return IterationPlan(index, self.batch_sizes[index], self.crop_sizes[index])
        n = self.batch_size or 1
        return IterationPlan(
            rng.integers(n_steps, size=n) if self.objective == "random_step" else None, n, self.crop_size
        )

    def x_hat_weight_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.x_hat_weight_at`: constant."""
        return self.x_hat_weight

    def rate_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.rate_at`: linear warm-up times a cosine down to 2 %, or times 1 without decay."""
        warm = self.warm(iteration)
        if self.decay == "none":
            return self.learning_rate * warm
        return self.learning_rate * warm * _cosine(iteration / self.n_iterations)


@dataclass(frozen=True, kw_only=True)
class OneLoopRecipe(LearningSettings):
    """Trains all parts of a model in one loop, with batches and crops of one size."""

    n_iterations: int
    batch_size: int
    """With several workers, the sum over all of them."""
    crop_size: int | None = None
    """By default the model's image size."""
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_iterations", "batch_size"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")

    def shortened(self, n_iterations: int) -> Self:
        """The same recipe with ``n_iterations`` in all."""
        return dataclasses.replace(self, n_iterations=n_iterations)

    def default_workers(self, n_cores: int) -> int:
        """See :meth:`TrainingRecipe.default_workers`: one, which uses all cores."""
        return 1

    def train(self, modes: TrainingModes) -> None:
        """See :meth:`TrainingRecipe.train`."""
        modes.train_together(self)

    @property
    def all_batch_sizes(self) -> set[int]:
        """See :attr:`TrainingPlan.all_batch_sizes`."""
        return {self.batch_size}

    @property
    def learning(self) -> LearningSettings:
        """See :attr:`TrainingPlan.learning`."""
        return self

    @property
    def seeds(self) -> tuple[Any, int]:
        """See :attr:`TrainingPlan.seeds`."""
        return self.seed, self.seed

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> IterationPlan:
        """See :meth:`TrainingPlan.choose`: all steps."""
        return IterationPlan(None, self.batch_size, self.crop_size)

    def x_hat_weight_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.x_hat_weight_at`: there is no such term."""
        return 0.0

    def rate_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.rate_at`: linear warm-up times a cosine down to 2 %."""
        return self.learning_rate * self.warm(iteration) * _cosine(iteration / self.n_iterations)


@dataclass(frozen=True, kw_only=True)
class TransformRecipe(OneLoopRecipe):
    """Trains all levels of a model of transform coding together; each sample is trained at one of them.

    A batch has each level equally often, as far as its size allows.
    """

    level_weights: list[float]
    """Weight of each level's loss R + lambda D: losses of high rates are larger."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(min(self.level_weights, default=0) > 0, "level_weights", self.level_weights, "must be positive")

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> IterationPlan:
        """See :meth:`TrainingPlan.choose`: a level for each sample."""
        levels = rng.permutation((np.arange(self.batch_size) + rng.integers(n_steps)) % n_steps)
        return IterationPlan(levels, self.batch_size, self.crop_size)


@dataclass(frozen=True, kw_only=True)
class RefineRecipe(OneLoopRecipe):
    """Trains a second stage on pairs of an image and what a codec's stream says of it.

    The pairs are made when training starts. Each is coded with one of the model's settings, in turn.
    """

    n_pairs: int
    mean_share: float = 0.2
    """Share of the samples that train the mean of the images that fit a stream (t = 0); the others have a t that is
    uniform in (0, 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n_pairs >= 1, "n_pairs", self.n_pairs, "must be at least 1")
        require(0 <= self.mean_share <= 1, "mean_share", self.mean_share, "must be in 0..1")


@dataclass(frozen=True, kw_only=True)
class BandedRecipe(OneLoopRecipe):
    """Trains all steps of a process in bands together: each sample goes through all of them."""

    step_weights: list[float]
    """Weight of the rate of each step, in bits per pixel: of the band steps, the pixel step and the last stage."""
    picture_weights: list[float]
    """Weight of the squared error of x_hat over the variance of the noise, after 0, 1, ... band steps and after the
    pixel step."""
    bands_until: int
    """Iterations before this one train the network of the bands; the others train those of pixel step and last stage,
    which see its pictures. The learning rate has a cosine for each part."""
    late_batch_size: int | None = None
    """Of the iterations of pixel step and last stage; by default ``batch_size``."""
    late_crop_size: int | None = None
    """The same; by default ``crop_size``."""
    unbounded_weight: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("step_weights", "picture_weights"):
            require(min(getattr(self, name), default=0) > 0, name, getattr(self, name), "must be positive")
        until, n = self.bands_until, self.n_iterations
        require(0 <= until <= n, "bands_until", until, f"must be in 0..{n}, the number of iterations")
        late = self.late_batch_size
        require(late is None or late >= 1, "late_batch_size", late, "must be at least 1")

    def shortened(self, n_iterations: int) -> Self:
        """See :meth:`TrainingRecipe.shortened`; both parts keep their shares."""
        until = round(self.bands_until * n_iterations / self.n_iterations)
        return dataclasses.replace(self, n_iterations=n_iterations, bands_until=until)

    def unbounded_at(self, iteration: int) -> float:
        """See :meth:`LearningSettings.unbounded_at`, counted from the first iteration of the late steps."""
        return super().unbounded_at(max(0, iteration - self.bands_until))

    def trains_bands(self, iteration: int) -> bool:
        """Whether an iteration trains the network of the bands."""
        return iteration < self.bands_until

    @property
    def all_batch_sizes(self) -> set[int]:
        """See :attr:`TrainingPlan.all_batch_sizes`."""
        return {self.batch_size, self.late_batch_size or self.batch_size}

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> IterationPlan:
        """See :meth:`TrainingPlan.choose`: all steps, with the sizes of the part that the iteration trains."""
        if self.trains_bands(iteration):
            return IterationPlan(None, self.batch_size, self.crop_size)
        late_crop = self.late_crop_size or self.crop_size
        return IterationPlan(None, self.late_batch_size or self.batch_size, late_crop)

    def rate_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.rate_at`: linear warm-up times a cosine down to 2 %, one for each part."""
        begin, end = (0, self.bands_until) if self.trains_bands(iteration) else (self.bands_until, self.n_iterations)
        return self.learning_rate * self.warm(iteration - begin) * _cosine((iteration - begin) / (end - begin))


def _cosine(share: float) -> float:
    """From 1 to 2 % as ``share`` goes from 0 to 1."""
    return 0.02 + 0.49 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class IterationPlan:
    """What an iteration trains: one step, a step or level for each sample, or (None) all steps; on ``n`` crops of
    ``size`` pixels."""

    steps: int | np.ndarray | None
    n: int
    size: int | None
    """None is the model's image size."""


class TrainingPlan(Protocol):
    """The iterations of one training loop: those of a joint recipe, or of one step of a separate one.

    Iterations are counted from 0.
    """

    @property
    def learning(self) -> LearningSettings:
        """The settings that are the same for all iterations."""

    @property
    def n_iterations(self) -> int:
        """Number of iterations."""

    @property
    def seeds(self) -> tuple[Any, int]:
        """Seeds of the data and of the noise."""

    @property
    def all_batch_sizes(self) -> set[int]:
        """Every size that a batch can have."""

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> IterationPlan:
        """Draws what an iteration trains from ``rng``."""

    def rate_at(self, iteration: int) -> float:
        """Learning rate."""

    def x_hat_weight_at(self, iteration: int) -> float:
        """Weight of the error of x_hat in the loss."""


class TrainingModes(Protocol):
    """The two ways to carry out a recipe (see :meth:`TrainingRecipe.train`)."""

    def train_together(self, plan: TrainingPlan) -> None:
        """Trains all steps of the model in one loop."""

    def train_separately(self, plans: Sequence[StepPlan]) -> None:
        """Trains each step in a loop of its own; the plans are in the order of the steps."""


class TrainingRecipe(Protocol):
    """What a run asks of a recipe of any kind."""

    @property
    def learning(self) -> LearningSettings:
        """The settings that are the same for all iterations and steps."""

    @property
    def n_iterations(self) -> int:
        """Number of iterations in all."""

    def shortened(self, n_iterations: int) -> TrainingRecipe:
        """The same recipe with ``n_iterations`` in all."""

    def default_workers(self, n_cores: int) -> int:
        """Processes on a machine of ``n_cores`` where the user names no number."""

    def train(self, modes: TrainingModes) -> None:
        """Calls the method of ``modes`` that carries out this kind of recipe."""


class DiffusionRecipe(TrainingRecipe, Protocol):
    """What a run of a diffusion model asks of its recipe, besides."""

    @property
    def learned_parameters(self) -> Sequence[str]:
        """Parameters of the schedule that are learned."""

    @property
    def starts_from(self) -> str:
        """Where z_T comes from, one of ``STARTS``."""

    @property
    def counts_last_stage(self) -> bool:
        """Whether the rate of x given z_0 is part of the loss."""

    def faults(self, denoiser: Denoiser, schedule: Schedule, image_size: int) -> Iterator[str]:
        """Reasons why the recipe cannot train a model, each with the key that is wrong."""


@dataclass(frozen=True, kw_only=True)
class SeparateRecipe(LearningSettings):
    """Trains each step by itself, for models whose steps share no weights. Lists have an entry for each step.

    A step's training depends on recipe, data and step alone, not on how many are trained at once.
    """

    iterations: list[int]
    batch_sizes: list[list[list[int]]]
    """For each step pairs [first iteration, batch size]; a pair holds until the next one begins."""
    x_hat_weights: list[list[list[float]]]
    """For each step such pairs of the weight of x_hat's error, which serves pictures; the weight of 1 bpp is 1."""
    crop_sizes: list[int]
    cool_down: list[int]
    """Number of last iterations in which the learning rate falls linearly to 0; before them it is constant."""
    learning_rates: list[float] | None = None
    """Learning rate of each step; by default ``learning_rate`` for all."""
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
    def learning(self) -> LearningSettings:
        """See :attr:`TrainingRecipe.learning`."""
        return self

    @property
    def n_iterations(self) -> int:
        """The sum over all steps."""
        return sum(self.iterations)

    @property
    def learned_parameters(self) -> Sequence[str]:
        """See :attr:`DiffusionRecipe.learned_parameters`: none, since the steps share the schedule."""
        return ()

    @property
    def starts_from(self) -> str:
        """See :attr:`DiffusionRecipe.starts_from`."""
        return "prior"

    @property
    def counts_last_stage(self) -> bool:
        """See :attr:`DiffusionRecipe.counts_last_stage`."""
        return False

    @property
    def plans(self) -> list[StepPlan]:
        """The plan of each step."""
        return [StepPlan(self, index) for index in range(len(self.iterations))]

    def faults(self, denoiser: Denoiser, schedule: Schedule, image_size: int) -> Iterator[str]:
        """See :meth:`DiffusionRecipe.faults`."""
        names = ("iterations", "batch_sizes", "x_hat_weights", "crop_sizes", "cool_down", "learning_rates")
        yield from _list_faults({name: getattr(self, name) for name in names}, schedule.n_steps)
        yield from _crop_faults(self.crop_sizes, image_size)

    def shortened(self, n_iterations: int) -> SeparateRecipe:
        """See :meth:`TrainingRecipe.shortened`; the steps keep their shares."""
        share = n_iterations / self.n_iterations
        iterations, cool_down = (
            [max(1, round(share * count)) for count in counts] for counts in (self.iterations, self.cool_down)
        )
        return dataclasses.replace(self, iterations=iterations, cool_down=cool_down)

    def default_workers(self, n_cores: int) -> int:
        """See :meth:`TrainingRecipe.default_workers`: a core for each step that is trained."""
        return n_cores

    def train(self, modes: TrainingModes) -> None:
        """See :meth:`TrainingRecipe.train`."""
        modes.train_separately(self.plans)


@dataclass(frozen=True)
class StepPlan:
    """The part of a :class:`SeparateRecipe` that is about one step."""

    recipe: SeparateRecipe
    index: int

    @property
    def learning(self) -> LearningSettings:
        """See :attr:`TrainingPlan.learning`."""
        return self.recipe

    @property
    def n_iterations(self) -> int:
        """Iterations of this step."""
        return self.recipe.iterations[self.index]

    @property
    def seeds(self) -> tuple[Any, int]:
        """See :attr:`TrainingPlan.seeds`."""
        seed = self.recipe.seed
        return [seed, self.index], int(np.random.default_rng([seed, self.index, 1]).integers(2**62))

    @property
    def all_batch_sizes(self) -> set[int]:
        """See :attr:`TrainingPlan.all_batch_sizes`."""
        return {size for _, size in self.recipe.batch_sizes[self.index]}

    def choose(self, iteration: int, n_steps: int, rng: np.random.Generator) -> IterationPlan:
        """See :meth:`TrainingPlan.choose`: always this step."""
        n = int(_at(self.recipe.batch_sizes[self.index], iteration))
        return IterationPlan(self.index, n, self.recipe.crop_sizes[self.index])

    def x_hat_weight_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.x_hat_weight_at`."""
        return _at(self.recipe.x_hat_weights[self.index], iteration)

    def rate_at(self, iteration: int) -> float:
        """See :meth:`TrainingPlan.rate_at`: warm-up, constant, then a linear fall to 0."""
        left = (self.n_iterations - iteration) / max(1, self.recipe.cool_down[self.index])
        rates = self.recipe.learning_rates
        full = self.recipe.learning_rate if rates is None else rates[self.index]
        return full * min(self.recipe.warm(iteration), left)


def _at(pairs: Sequence[Sequence[float]], iteration: int) -> float:
    """The value of the last pair that begins at or before the iteration."""
    return next(value for first, value in reversed(pairs) if first <= iteration)


def _list_faults(lists: Mapping[str, Sequence[Any] | None], n_steps: int) -> Iterator[str]:
    """Lists of a recipe, by name, that do not have an entry for each step; None where a list is not given."""
    for name, values in lists.items():
        if values is not None and len(values) != n_steps:
            yield f"recipe.{name} needs {n_steps} entries, one for each step"


def _crop_faults(crop_sizes: Sequence[int], image_size: int) -> Iterator[str]:
    if max(crop_sizes) > image_size:
        yield f"recipe: crops of {max(crop_sizes)} pixels do not fit images of {image_size}"


def require(holds: bool, name: str, value: Any, remedy: str) -> None:
    """Raises ValueError, naming an option and its value, unless it holds."""
    if not holds:
        raise ValueError(f"{name}={value}: {remedy}")
