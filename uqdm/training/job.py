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
from uqdm.diffusion.levels import levels_of
from uqdm.machine import available_cores
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Schedule
from uqdm.model.zoo import load_named
from uqdm.paths import expand_path
from uqdm.progressive import tolerance
from uqdm.progressive.device import checked_device
from uqdm.training.config import TrainingConfig, check_model, read_config
from uqdm.training.objective import Objective
from uqdm.training.trainer import TrainingError, TrainingProgress, make_objective
from uqdm.training.validation import ValidationResult

MODEL_KEYS = ("schedule", "denoiser", "density", "process", "levels")


@dataclass(frozen=True)
class TrainingCallbacks:
    """Callbacks for the events of a training run.

    Where steps are trained separately, events of several steps alternate; ``only_step`` tells the step of each.
    """

    progress: Callable[[TrainingProgress], Any] = lambda progress: None
    validated: Callable[[int, ValidationResult], Any] = lambda iteration, result: None
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

    def model_config(self, schedule: Schedule) -> dict[str, Any]:
        """The model's configuration, with the given (perhaps learned) schedule."""
        return {"image_size": self.image_size, **self.model, "schedule": dataclasses.asdict(schedule)}

    def as_model(self, denoiser: Denoiser, schedule: Schedule) -> Model:
        """A model of weights in memory."""
        return checkpoint.as_model(self.config.name, denoiser, self.model_config(schedule))


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
    config, out = read_config(config_file), Path(out)
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
    if config_there.exists() and checkpoint.FORMAT not in config_there.read_text(errors="replace"):
        raise TrainingError(
            f"{config_there}: it exists already and is not the configuration of a model; name another folder"
        )
    try:
        checked_device(device)
    except ValueError as error:
        raise TrainingError(str(error)) from error
    model, image_size = _model_config(config, config_file)
    return TrainingJob(config, out, model, image_size, device)


def _model_config(config: TrainingConfig, file: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    if config.model is not None and config.image_size is not None:
        return config.model, config.image_size
    start = load_named(str(config.init))
    kept = {key: start.config[key] for key in MODEL_KEYS if key in start.config}
    image_size = config.image_size or start.image_size
    check_model(file, kept, image_size, config.recipe)
    return kept, image_size


def default_workers(job: TrainingJob) -> int:
    """Number of processes where the user names none; on a GPU always one."""
    return job.config.recipe.default_workers(available_cores()) if job.device == "cpu" else 1


@float32_arithmetic()
def start_objective(job: TrainingJob) -> Objective:
    """The objective with fresh weights from the recipe's seed, or with those of the model that training starts from."""
    torch.manual_seed(job.config.recipe.seed)
    denoiser, schedule = checkpoint.build(job.model)
    if job.config.init is not None:
        denoiser.load_state_dict(load_named(job.config.init).denoiser.state_dict())
    denoiser = denoiser.to(memory_format=denoiser.memory_format)  # type: ignore[call-overload]
    process, levels = job.model.get("process", "uniform"), levels_of(job.model)
    return make_objective(denoiser, schedule, job.config.recipe, process=process, levels=levels)


@float32_arithmetic()
def write_model(job: TrainingJob, denoiser: Denoiser, schedule: Schedule, n_tiles: int) -> None:
    """Writes the model folder, its weights last, so that a folder with weights is complete."""
    provenance = {
        "recipe": dataclasses.asdict(job.config.recipe),
        "data": dataclasses.asdict(job.config.data) | {"source": None},  # a path of this machine
        "init": job.config.init,
        "n_tiles": n_tiles,
        "torch": torch.__version__,
    }
    config = json.loads(json.dumps({**job.model_config(schedule), "training": provenance}))
    with tempfile.TemporaryDirectory(prefix=".model-", dir=job.out) as folder:
        written = Path(folder)
        checkpoint.save(written, config, denoiser, half=job.config.output.weights == "float16")
        if job.image_size > 1 and job.model.get("process", "uniform") == "uniform":
            tolerance.record(written)
        for name in (checkpoint.CONFIG, checkpoint.WEIGHTS):
            os.replace(written / name, job.out / name)
