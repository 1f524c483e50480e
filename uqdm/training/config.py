"""The training configuration: read from YAML (``config/train/``) and checked before training starts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from uqdm.model import checkpoint, schema
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule
from uqdm.progressive.codable import codable_faults
from uqdm.training.recipe import JointRecipe, SeparateRecipe, TrainingRecipe, require
from uqdm.training.structure import TrainingConfigError, build


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
    """Intervals of outputs, in iterations, and the precision of the model's weights."""

    report_every: int = 500
    checkpoint_every: int = 1000
    pictures_every: int = 5000
    weights: str = "float16"

    def __post_init__(self) -> None:
        require(self.weights in ("float16", "float32"), "weights", self.weights, "choose float16 or float32")
        for name in ("report_every", "checkpoint_every", "pictures_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")


@dataclass(frozen=True)
class TrainingConfig:
    """A whole configuration. ``model`` is the model's own, as in the ``config.json`` of its folder."""

    name: str
    recipe: JointRecipe | SeparateRecipe
    """Its kind is told by its keys."""
    data: Data = field(default_factory=Data)
    model: dict[str, Any] | None = None
    """None where training starts from another model."""
    image_size: int | None = None
    init: str | None = None
    """A model's name or folder: training starts from its weights and schedule."""
    validation: Validation | None = None
    output: Output = field(default_factory=Output)


def read_config(file: str | os.PathLike[str]) -> TrainingConfig:
    """Reads and checks a YAML configuration (see ``config/train/``). Raises :class:`TrainingConfigError`."""
    data = _read_yaml(Path(file))
    config = build(TrainingConfig, data, str(file))
    try:
        schema.check(data, "training.json", str(file))  # limits that neither types nor recipes check
    except schema.SchemaError as error:
        raise TrainingConfigError(str(error)) from error
    if (config.model is None) == (config.init is None):
        raise TrainingConfigError(f"{file}: give either model (to train from scratch) or init (a model to start from)")
    if config.model is not None:
        if config.image_size is None:
            raise TrainingConfigError(f"{file}: image_size must be given (1 for points)")
        check_model(file, config.model, config.image_size, config.recipe)
        codes = config.model.get("process") != "gaussian" and config.model.get("density") != "gaussian"
        if config.validation is not None and config.validation.coded and not codes:
            raise TrainingConfigError(f"{file}: validation.coded: Gaussian models code no files; set it to 0")
    return config


class _Loader(yaml.SafeLoader):
    """A loader of plain data that refuses repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As the base class does, but raises YAMLError for a repeated key."""
        made = super().construct_mapping(node, deep)
        keys = [key.value for key, _ in node.value]
        repeated = [key for key in keys if keys.count(key) > 1]
        if repeated:
            raise yaml.YAMLError(f"the key {repeated[0]!r} is repeated{node.start_mark}")
        return made


def _read_yaml(file: Path) -> Any:
    """The content of a file, with limits on size and nesting."""
    try:
        if file.stat().st_size > schema.MAX_BYTES:
            raise TrainingConfigError(f"{file}: larger than {schema.MAX_BYTES >> 20} MiB")
        data = yaml.load(file.read_bytes().decode("utf-8-sig"), _Loader)
        schema.check_extent(data, str(file))
    except RecursionError as error:
        raise TrainingConfigError(f"{file}: nested too deeply, more than {schema.MAX_DEPTH} levels") from error
    except schema.SchemaError as error:
        raise TrainingConfigError(str(error)) from error
    except TrainingConfigError:
        raise
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise TrainingConfigError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from error
    return data


def check_model(file: str | os.PathLike[str], model: dict[str, Any], image_size: int, recipe: TrainingRecipe) -> None:
    """Raises :class:`TrainingConfigError` where the recipe does not suit the model, or the model cannot be built."""
    try:
        denoiser, schedule = checkpoint.build(model, device="meta")  # shapes only: weights can take a gigabyte
    except (checkpoint.CheckpointError, ValueError) as error:
        raise TrainingConfigError(f"{file}: model: {str(error).removeprefix('config.json: ')}") from error
    if schedule.slope <= 0 or schedule.n_steps < 1:
        raise TrainingConfigError(f"{file}: model.schedule: slope and n_steps must be positive")
    _check_codable(file, denoiser, schedule, image_size, model)
    for fault in recipe.faults(denoiser, schedule, image_size):
        raise TrainingConfigError(f"{file}: {fault}")


def _check_codable(
    file: str | os.PathLike[str], denoiser: Denoiser, schedule: Schedule, image_size: int, model: dict[str, Any]
) -> None:
    """Raises where a model of images with the process and density of files could not code files."""
    process = model.get("process", "uniform")
    if image_size == 1 or process != "uniform" or denoiser.density != "logistic":
        return
    for fault in codable_faults(denoiser, schedule, image_size, process):
        raise TrainingConfigError(f"{file}: the trained model could not code files: {fault}")
