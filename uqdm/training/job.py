"""A training run before it starts: checked configuration, model configuration, and initial weights."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.machine import available_cores
from uqdm.model import checkpoint
from uqdm.model.files import BANDED_FORMAT, REFINE_FORMAT, TRANSFORM_FORMAT
from uqdm.model.hub import is_hub_name, pinned_name
from uqdm.paths import expand_path
from uqdm.progressive.device import checked_device
from uqdm.training.boards import BoardRun, check_logger
from uqdm.training.config import TrainingConfig
from uqdm.training.config_file import check_model, read_config
from uqdm.training.contract import Objective
from uqdm.training.data import Source
from uqdm.training.kinds import KINDS, kind_of
from uqdm.training.kinds.contract import Measured, ModelKind
from uqdm.training.trainer import TrainingError, TrainingProgress


@dataclass(frozen=True)
class TrainingCallbacks:
    """Callbacks for the events of a training run.

    Where steps are trained separately, events of several steps alternate; ``only_step`` tells the step of each.
    """

    progress: Callable[[TrainingProgress], Any] = lambda progress: None
    validated: Callable[[int, Measured], Any] = lambda iteration, result: None
    """Arguments: the iteration, and what was measured after it."""
    resumed: Callable[[int, int | None], Any] = lambda iteration, only_step: None
    """Arguments: the iteration that a run resumes after, and the step, where each is trained by itself."""


@dataclass(frozen=True)
class TrainingJob:
    """A checked training run, as plain data that can be sent to a worker."""

    config: TrainingConfig
    out: Path
    model: dict[str, Any]
    image_size: int
    device: str = "cpu"

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that the trained weights depend on, for checkpoints: not those of output and validation."""
        config = dataclasses.asdict(self.config) | {"model": self.model, "image_size": self.image_size}
        left_out = ("output", "validation", "name")
        return json.loads(json.dumps({key: value for key, value in config.items() if key not in left_out}))

    @property
    def board_run(self) -> BoardRun:
        """The run as a logger shows it: without the paths of this machine."""
        settings = {**self.identity, "data": {**self.identity["data"], "source": None}, "init": None}
        return BoardRun(self.config.output.logger, self.out, self.config.name, settings)

    @property
    def kind(self) -> ModelKind:
        """The kind of the model."""
        return kind_of(self.model)

    def open_source(self) -> Source:
        """The source of training data."""
        return self.kind.open_source(self.config, self.model, self.image_size)

    def snapshot(self, objective: Objective) -> Any:
        """A model of an objective's weights, to be measured."""
        return self.kind.snapshot(self.config.name, self.model, self.image_size, objective)


def prepare(
    config_file: str | os.PathLike[str],
    images: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    report_every: int | None = None,
    n_iterations: int | None = None,
    device: str = "cpu",
) -> TrainingJob:
    """Reads and checks a configuration before training starts; arguments override its values."""
    config, out = _with_pinned_init(read_config(config_file)), Path(out)
    if images is not None:
        source = f"folder:{images}" if expand_path(images, "--images").is_dir() else str(images)
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, source=source))
    if n_iterations is not None:
        config = dataclasses.replace(config, recipe=config.recipe.shortened(n_iterations))
    if report_every is not None:
        config = dataclasses.replace(config, output=dataclasses.replace(config.output, report_every=report_every))
    if (out / checkpoint.WEIGHTS).exists():
        raise TrainingError(f"{out}: the folder holds a model already; name another folder")
    config_there = out / checkpoint.CONFIG
    if config_there.exists() and not any(
        form in config_there.read_text(errors="replace")
        for form in (checkpoint.FORMAT, TRANSFORM_FORMAT, BANDED_FORMAT, REFINE_FORMAT)
    ):
        raise TrainingError(
            f"{config_there}: it exists already and is not the configuration of a model; name another folder"
        )
    try:
        checked_device(device)
        check_logger(config.output.logger)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    model, image_size = _model_config(config, config_file)
    return TrainingJob(config, out, model, image_size, device)


def _with_pinned_init(config: TrainingConfig) -> TrainingConfig:
    """A model of the hub to start from has its commit, so that a run that resumes starts from the same one."""
    if config.init is None or not is_hub_name(config.init):
        return config
    return dataclasses.replace(config, init=pinned_name(config.init))


def _model_config(config: TrainingConfig, file: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    if config.model is not None and config.image_size is not None:
        return config.model, config.image_size
    kept, image_size = next(found for kind in KINDS if (found := kind.named(str(config.init))) is not None)
    image_size = config.image_size or image_size
    check_model(config, kept, image_size, file)
    return kept, image_size


def default_workers(job: TrainingJob) -> int:
    """Number of processes where the user names none; on a GPU always one."""
    return job.config.recipe.default_workers(available_cores()) if job.device == "cpu" else 1


def start_objective(job: TrainingJob) -> Objective:
    """The objective with fresh weights from the recipe's seed, or with those of the model that training starts from."""
    return job.kind.start(job.config, job.model)


@float32_arithmetic()
def write_model(job: TrainingJob, objective: Objective, n_tiles: int) -> None:
    """Writes the model folder, its weights last, so that a folder with weights is complete."""
    provenance = {
        "recipe": dataclasses.asdict(job.config.recipe),
        "data": dataclasses.asdict(job.config.data) | {"source": None},  # a path of this machine
        "init": job.config.init,
        "n_tiles": n_tiles,
        "torch": torch.__version__,
    }
    config = json.loads(json.dumps({"image_size": job.image_size, **job.model, "training": provenance}))
    half = job.config.output.weights == "float16"
    with tempfile.TemporaryDirectory(prefix=".model-", dir=job.out) as folder:
        written = Path(folder)
        job.kind.write(written, config, objective, half=half)
        for name in (checkpoint.CONFIG, checkpoint.WEIGHTS):
            os.replace(written / name, job.out / name)
