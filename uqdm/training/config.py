"""What a training configuration may say, read from YAML and checked before any work starts (``config/train/``)."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from uqdm.model import checkpoint
from uqdm.model.denoiser import Denoiser
from uqdm.model.learned_schedule import LEARNABLE
from uqdm.model.schedule import Schedule
from uqdm.training.structure import TrainingConfigError, build

OBJECTIVES = ("steps", "nelbo", "random_step")
STARTS = ("prior", "posterior")


@dataclass(frozen=True)
class Recipe:
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
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    """Iterations of linear warm-up."""
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    seed: int = 0
    bfloat16: bool = True
    betas: tuple[float, float] = field(default=(0.9, 0.99))
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
    compile: bool = False
    """Whether the network goes through ``torch.compile``."""

    def __post_init__(self) -> None:
        one_step = self.objective == "steps"
        lists = {name: getattr(self, name) for name in ("step_shares", "batch_sizes", "crop_sizes")}
        _require(self.objective in OBJECTIVES, "objective", self.objective, f"choose one of {', '.join(OBJECTIVES)}")
        _require(self.decay in ("cosine", "none"), "decay", self.decay, "choose cosine or none")
        _require(self.start in (None, *STARTS), "start", self.start, f"choose one of {', '.join(STARTS)}")
        for name, value in lists.items():
            _require((value is not None) == one_step, name, value, "must be given for the objective steps, and only so")
        _require((self.batch_size is None) == one_step, "batch_size", self.batch_size, "not for the objective steps")
        if self.step_shares is not None:
            total = sum(self.step_shares)
            _require(abs(total - 1) < 1e-9 and min(self.step_shares) >= 0, "step_shares", total, "must sum to 1")
        for name in ("n_iterations", "learning_rate", "clip_norm"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "must be positive")
        for name in ("weight_decay", "warm_up", "seed"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "must not be negative")
        sizes = [*(self.batch_sizes or []), *(self.crop_sizes or []), self.batch_size or 1, self.crop_size or 1]
        _require(min(sizes) >= 1, "batch_sizes, crop_sizes", sizes, "must be at least 1")
        for name, value in (("ema_decay", self.ema_decay), ("betas[0]", self.betas[0]), ("betas[1]", self.betas[1])):
            _require(0 <= value < 1, name, value, "must be in [0, 1)")
        unknown = sorted(set(self.learned_schedule) - set(LEARNABLE))
        _require(not unknown, "learned_schedule", unknown, f"choose from {', '.join(LEARNABLE)}")
        _require(
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

    def rate_at(self, iteration: int) -> float:
        """Learning rate: linear warm-up, then (or at once) a cosine down to 2 %, unless ``decay`` is ``none``."""
        warm = min(1.0, (iteration + 1) / self.warm_up) if self.warm_up else 1.0
        if self.decay == "none":
            return self.learning_rate * warm
        return self.learning_rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * iteration / self.n_iterations)))


def _require(holds: bool, name: str, value: Any, remedy: str) -> None:
    if not holds:
        raise ValueError(f"{name}={value}: {remedy}")


@dataclass(frozen=True)
class Data:
    """What to train on: ``folder:PATH``, ``npz:PATH[#KEY]`` (PATH may be a pattern) or ``swirl``.

    With ``boxes_per_image``, so many boxes of each image are cut when training starts and held in memory. Without
    it, images are read while training goes on, a box of each draw's own: for sets larger than memory.
    """

    source: str | None = None
    """May be left to the command line."""
    boxes_per_image: int | None = None
    smallest_box: int = 80
    """Boxes are squares with a side from this up to the image's short side."""
    seed: int = 0
    """Of the boxes that are cut in advance; all other draws come from the recipe's seed."""
    flips: bool = True
    """Whether half of the samples are mirrored left to right."""
    threads: int = 2
    """That read images while training goes on."""


@dataclass(frozen=True)
class Validation:
    """What is measured now and then with the averaged weights, on images that are not trained on."""

    source: str = "demo"
    """A data set as ``uqdm bench evaluate`` names it, or ``swirl``."""
    n: int = 16
    """Images, or points: the first so many of the data set."""
    coded: int = 2
    """Of these, so many are coded to files and decoded again."""
    every: int = 2000
    """Iterations."""

    def __post_init__(self) -> None:
        _require(self.n >= 1 and self.every >= 1, "n, every", (self.n, self.every), "must be at least 1")
        _require(0 <= self.coded <= self.n, "coded", self.coded, f"must be in 0..{self.n}")


@dataclass(frozen=True)
class Output:
    """How often, in iterations, something is written, and the precision of the model's weights."""

    report_every: int = 500
    checkpoint_every: int = 1000
    pictures_every: int = 5000
    weights: str = "float16"

    def __post_init__(self) -> None:
        _require(self.weights in ("float16", "float32"), "weights", self.weights, "choose float16 or float32")
        for name in ("report_every", "checkpoint_every", "pictures_every"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """A whole configuration. ``model`` is the model's own, as in the ``config.json`` of its folder."""

    name: str
    recipe: Recipe
    data: Data = field(default_factory=Data)
    model: dict[str, Any] | None = None
    """Left out where training starts from another model."""
    image_size: int | None = None
    init: str | None = None
    """A model's name or folder: training starts from its weights and schedule."""
    validation: Validation | None = None
    output: Output = field(default_factory=Output)


def read_config(file: str | os.PathLike[str]) -> TrainingConfig:
    """Reads and checks a YAML configuration (see ``config/train/``). Raises :class:`TrainingConfigError`."""
    try:
        data = yaml.safe_load(Path(file).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingConfigError(f"{file}: not valid YAML ({error})") from error
    config = build(TrainingConfig, data, str(file))
    if (config.model is None) == (config.init is None):
        raise TrainingConfigError(f"{file}: give either model (to train from scratch) or init (a model to start from)")
    if config.model is not None:
        if config.image_size is None:
            raise TrainingConfigError(f"{file}: image_size must be given (1 for points)")
        check_model(file, config.model, config.image_size, config.recipe)
    return config


def check_model(file: str | os.PathLike[str], model: dict[str, Any], image_size: int, recipe: Recipe) -> None:
    """Raises :class:`TrainingConfigError` where model and recipe do not go together, or the model cannot be built."""
    try:
        with torch.device("meta"):  # shapes only: the largest takes a gigabyte
            denoiser, schedule = checkpoint.build(model)
    except (checkpoint.CheckpointError, ValueError) as error:
        raise TrainingConfigError(f"{file}: model: {str(error).removeprefix('config.json: ')}") from error
    for key in ("step_shares", "batch_sizes", "crop_sizes"):
        value = getattr(recipe, key)
        if value is not None and len(value) != schedule.n_steps:
            raise TrainingConfigError(f"{file}: recipe.{key} needs {schedule.n_steps} entries, one for each step")
    largest = max([*(recipe.crop_sizes or []), recipe.crop_size or 1])
    if largest > image_size:
        raise TrainingConfigError(f"{file}: recipe: crops of {largest} pixels do not fit images of {image_size}")
    _check_schedule(file, denoiser, schedule, recipe)


def _check_schedule(file: str | os.PathLike[str], denoiser: Denoiser, schedule: Schedule, recipe: Recipe) -> None:
    if recipe.learned_schedule and not denoiser.learns_schedule:
        raise TrainingConfigError(f"{file}: recipe.learned_schedule: this kind of denoiser needs a fixed schedule")
    if schedule.slope <= 0 or schedule.n_steps < 1:
        raise TrainingConfigError(f"{file}: model.schedule: slope and n_steps must be positive")
