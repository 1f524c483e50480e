"""A training run by a configuration: from its data to a model folder, with checkpoints and logs on the way."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from uqdm.diffusion.levels import levels_of
from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model
from uqdm.model.zoo import load_named
from uqdm.progressive import tolerance
from uqdm.training import state
from uqdm.training.config import TrainingConfig, check_model, read_config
from uqdm.training.data import Source, open_source
from uqdm.training.logs import Logs, has_tensorboard
from uqdm.training.objective import Objective
from uqdm.training.structure import TrainingConfigError
from uqdm.training.trainer import Progress, Training, TrainingError, make_objective
from uqdm.training.validation import Validated, is_finite, pictures, validate, validation_images

CHECKPOINT = "checkpoint.safetensors"
PICTURED = 4  # validation images on a sheet of pictures

__all__ = ["Callbacks", "Job", "TrainingConfigError", "read_config", "train_from_config"]


@dataclass(frozen=True)
class Callbacks:
    """What is told of a run: progress every so often, validations, and from which iteration it goes on."""

    progress: Callable[[Progress], Any] = lambda progress: None
    validated: Callable[[int, Validated], Any] = lambda iteration, result: None
    resumed: Callable[[int], Any] = lambda iteration: None


@dataclass(frozen=True)
class Job:
    """What a worker needs to know: all of it plain data."""

    config: TrainingConfig
    out: Path
    model: dict[str, Any]
    image_size: int
    device: str = "cpu"

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the run what it is, for a checkpoint: outputs and validation do not change its weights."""
        config = dataclasses.asdict(self.config) | {"model": self.model, "image_size": self.image_size}
        left_out = ("output", "validation", "name")
        return json.loads(json.dumps({key: value for key, value in config.items() if key not in left_out}))


def train_from_config(
    config_file: str | os.PathLike[str],
    images: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    report: Callable[[Progress], Any] | Callbacks = Callbacks(),
    report_every: int | None = None,
    n_iterations: int | None = None,
    *,
    device: str = "cpu",
    n_workers: int = 1,
) -> Path:
    """Trains by a configuration file and writes the model to the folder ``out``, with logs beside it.

    ``images`` is a folder or a source as in the configuration, which it overrides; ``report_every`` and
    ``n_iterations`` override it too. Where ``out`` holds a checkpoint of the same configuration, training goes on
    from there, bit for bit on a CPU; a finished model is not touched. Returns the folder.
    """
    callbacks = report if isinstance(report, Callbacks) else Callbacks(progress=report)
    job = prepare(config_file, images, Path(out), report_every, n_iterations, device)
    if n_workers > 1:
        from uqdm.training.parallel import train_in_parallel

        train_in_parallel(job, n_workers, callbacks)
    else:
        run(job, callbacks)
    return job.out


def prepare(
    config_file: str | os.PathLike[str],
    images: str | os.PathLike[str] | None,
    out: Path,
    report_every: int | None,
    n_iterations: int | None,
    device: str,
) -> Job:
    """Reads and checks all that can be checked before work starts."""
    config = read_config(config_file)
    if images is not None:
        source = f"folder:{images}" if Path(images).is_dir() else str(images)
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, source=source))
    if n_iterations is not None:
        config = dataclasses.replace(config, recipe=dataclasses.replace(config.recipe, n_iterations=n_iterations))
    if report_every is not None:
        config = dataclasses.replace(config, output=dataclasses.replace(config.output, report_every=report_every))
    if (out / checkpoint.WEIGHTS).exists():
        raise TrainingError(f"{out}: a model is there already; name another folder")
    model, image_size = _model_config(config, config_file)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise TrainingError(f"device={device}: torch finds no GPU here")
    return Job(config, out, model, image_size, device)


def _model_config(config: TrainingConfig, file: str | os.PathLike[str]) -> tuple[dict[str, Any], int]:
    if config.init is None:
        assert config.model is not None
        assert config.image_size is not None
        return config.model, config.image_size
    start = load_named(config.init)
    kept = {key: start.config[key] for key in MODEL_KEYS if key in start.config}
    check_model(file, kept, start.image_size, config.recipe)
    return kept, config.image_size or start.image_size


MODEL_KEYS = ("schedule", "denoiser", "density", "process", "levels")


# ---- one process --------------------------------------------------------------------------------------------


def run(
    job: Job,
    callbacks: Callbacks,
    *,
    worker: int = 0,
    n_workers: int = 1,
    wrap: Callable[[Objective], nn.Module] = lambda objective: objective,
) -> None:
    """Trains to the end in this process; as one of several workers, the first of which writes everything."""
    config, file = job.config, job.out / CHECKPOINT
    source = open_source(config.data, job.image_size)
    images = _validation_images(job)
    training = Training(
        start_objective(job),
        config.recipe,
        source,
        job.image_size,
        device=job.device,
        worker=worker,
        n_workers=n_workers,
        wrap=wrap,
    )
    if file.is_file():
        state.restore(training, job.identity, file)
        callbacks.resumed(training.iteration)
    if worker > 0:
        while training.iteration < config.recipe.n_iterations:
            training.advance()
        return
    job.out.mkdir(parents=True, exist_ok=True)
    n_steps = training.objective.schedule.n_steps
    with Logs(job.out, n_steps, training.iteration, tensorboard=has_tensorboard()) as logs:
        observer = Observer(job, training, logs, callbacks, images)
        while training.iteration < config.recipe.n_iterations:
            observer.after(training.advance())
    training.feed.close()
    _finish(job, training, source)


def start_objective(job: Job) -> Objective:
    """The objective with fresh weights from the recipe's seed, or with those of the model that training starts from."""
    torch.manual_seed(job.config.recipe.seed)
    denoiser, schedule = checkpoint.build(job.model)
    if job.config.init is not None:
        denoiser.load_state_dict(load_named(job.config.init).denoiser.state_dict())
    denoiser = denoiser.to(memory_format=denoiser.memory_format)  # type: ignore[call-overload]
    process, levels = job.model.get("process", "uniform"), levels_of(job.model)
    return make_objective(denoiser, schedule, job.config.recipe, process=process, levels=levels)


class Observer:
    """What happens beside training: reports, validation, pictures, checkpoints."""

    def __init__(self, job: Job, training: Training, logs: Logs, callbacks: Callbacks, images_uint8: np.ndarray | None):
        self.job, self.training, self.logs, self.callbacks = job, training, logs, callbacks
        self.images_uint8 = images_uint8
        if training.iteration == 0:
            self._validate()

    def after(self, progress: Progress) -> None:
        """Does what is due after an iteration."""
        output, validation = self.job.config.output, self.job.config.validation
        is_last = progress.iteration == self.job.config.recipe.n_iterations
        if progress.iteration % output.report_every == 0:
            self.logs.progress(progress)
            self.callbacks.progress(progress)
        if validation is not None and (progress.iteration % validation.every == 0 or is_last):
            self._validate()
        if self.images_uint8 is not None and (progress.iteration % output.pictures_every == 0 or is_last):
            self._picture()
        if progress.iteration % output.checkpoint_every == 0 or is_last:
            state.save(self.training, self.job.identity, self.job.out / CHECKPOINT)

    def _validate(self) -> None:
        validation = self.job.config.validation
        if validation is None or self.images_uint8 is None:
            return
        model = averaged_model(self.job, self.training)
        result = validate(model, self.images_uint8, validation.coded, device=self.job.device)
        if not is_finite(result):
            raise TrainingError(f"iteration {self.training.iteration}: the validation rate is {result.ideal_bpp}")
        self.logs.validated(self.training.iteration, result)
        self.callbacks.validated(self.training.iteration, result)

    def _picture(self) -> None:
        if self.images_uint8 is not None and self.job.image_size > 1:
            model = averaged_model(self.job, self.training)
            sheet = pictures(model, self.images_uint8[:PICTURED], device=self.job.device)
            self.logs.picture(self.training.iteration, sheet)


def _validation_images(job: Job) -> np.ndarray | None:
    validation = job.config.validation
    if validation is None:
        return None
    return validation_images(validation.source, validation.n, job.image_size)


def averaged_model(job: Job, training: Training) -> Model:
    """The averaged weights and schedule as they stand, as a model."""
    averages = training.averages.module
    return checkpoint.as_model(job.config.name, averages.denoiser, _final_config(job, training))


def _final_config(job: Job, training: Training) -> dict[str, Any]:
    schedule = dataclasses.asdict(training.averages.module.schedule.fixed())
    return {"image_size": job.image_size, **job.model, "schedule": schedule}


def _finish(job: Job, training: Training, source: Source) -> None:
    """Writes the model folder, its weights last, so that what has weights is a whole model."""
    provenance = {
        "recipe": dataclasses.asdict(job.config.recipe),
        "data": dataclasses.asdict(job.config.data),
        "init": job.config.init,
        "n_tiles": len(source),
        "iterations": training.iteration,
        "torch": torch.__version__,
    }
    config = {**_final_config(job, training), "training": provenance}
    half = job.config.output.weights == "float16"
    with tempfile.TemporaryDirectory(prefix=".model-", dir=job.out) as folder:
        written = Path(folder)
        checkpoint.save(written, json.loads(json.dumps(config)), training.averages.module.denoiser, half=half)
        if job.image_size > 1 and job.model.get("process", "uniform") == "uniform":
            tolerance.record(written)
        for name in (checkpoint.CONFIG, checkpoint.WEIGHTS):
            os.replace(written / name, job.out / name)
