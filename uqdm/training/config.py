"""The training configuration as dataclasses; :mod:`uqdm.training.config_file` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from uqdm.training.boards import LOGGERS, TENSORBOARD
from uqdm.training.recipe import BandedRecipe, JointRecipe, RefineRecipe, SeparateRecipe, TransformRecipe, require


@dataclass(frozen=True)
class Data:
    """Training data: ``folder:PATH``, ``npz:PATH[#KEY]`` (PATH may be a pattern), ``swirl`` or a data set of the
    benchmark, which is read into memory.

    With ``boxes_per_image``, that many boxes of each image are cut when training starts and held in memory. Without
    it, images are read during training and a new box is cut for each sample: for sets larger than memory.
    """

    source: str | None = None
    """May be given on the command line instead."""
    boxes_per_image: int | None = None
    smallest_box: int = 80
    """Smallest side of the square boxes, in pixels; the largest is the image's short side."""
    seed: int = 0
    """Seed of boxes that are cut in advance; all other random choices depend on the recipe's seed."""
    flips: bool = True
    """Whether half of the samples are mirrored left to right."""
    threads: int = 2
    """Threads that read images during training."""


@dataclass(frozen=True)
class Validation:
    """Regular measurements with the averaged weights on held-out images."""

    source: str = "demo"
    """A data set as ``uqdm bench evaluate`` names it, or ``swirl``."""
    n: int = 16
    """Number of images or points: the first ones of the data set."""
    coded: int = 2
    """Number of these that are coded to files and decoded."""
    every: int = 2000
    """Iterations between validations."""

    def __post_init__(self) -> None:
        require(self.n >= 1 and self.every >= 1, "n, every", (self.n, self.every), "must be at least 1")
        require(0 <= self.coded <= self.n, "coded", self.coded, f"must be in 0..{self.n}")


@dataclass(frozen=True)
class Output:
    """Intervals of outputs, in iterations, the precision of the model's weights, and the logger."""

    report_every: int = 500
    checkpoint_every: int = 1000
    pictures_every: int = 5000
    weights: str = "float16"
    logger: str = TENSORBOARD
    """``tensorboard`` (where it is installed), ``wandb`` or ``none``, beside the CSV files."""

    def __post_init__(self) -> None:
        require(self.weights in ("float16", "float32"), "weights", self.weights, "choose float16 or float32")
        require(self.logger in LOGGERS, "logger", self.logger, f"choose one of {', '.join(LOGGERS)}")
        for name in ("report_every", "checkpoint_every", "pictures_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """A whole configuration. ``model`` is the model's own, as in the ``config.json`` of its folder."""

    name: str
    recipe: BandedRecipe | RefineRecipe | TransformRecipe | JointRecipe | SeparateRecipe
    """Its kind is told by its keys."""
    data: Data = field(default_factory=Data)
    model: dict[str, Any] | None = None
    """None where training starts from another model."""
    image_size: int | None = None
    init: str | None = None
    """A model's name or folder: training starts from its weights and schedule."""
    validation: Validation | None = None
    output: Output = field(default_factory=Output)
