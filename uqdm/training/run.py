"""A training run by a configuration: from its data to a model folder, with checkpoints and logs on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from uqdm.model.arithmetic import float32_arithmetic
from uqdm.model.checkpoint import Model
from uqdm.training import state
from uqdm.training.data import open_source
from uqdm.training.job import Callbacks, Job, prepare, start_objective, write_model
from uqdm.training.logs import Logs
from uqdm.training.objective import Objective
from uqdm.training.recipe import Recipe, SeparateRecipe
from uqdm.training.trainer import Progress, Training, TrainingError
from uqdm.training.validation import is_finite, pictures, validate, validation_images

CHECKPOINT = "checkpoint.safetensors"
PICTURED = 4  # validation images on a sheet of pictures


def train_from_config(
    config_file: str | os.PathLike[str],
    images: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    report: Callable[[Progress], Any] | None = None,
    **overrides: Any,
) -> Path:
    """Trains by a configuration file in this process and writes the model to the folder ``out``; returns it.

    ``images`` and ``overrides`` are those of :func:`uqdm.training.job.prepare`; see :func:`train`.
    """
    train(prepare(config_file, images, out, **overrides), Callbacks() if report is None else Callbacks(progress=report))
    return Path(out)


def train(job: Job, callbacks: Callbacks, n_workers: int = 1) -> None:
    """Trains, and writes the model to the job's folder, with logs beside it.

    Where the folder holds a checkpoint of the same configuration, training goes on from there, bit for bit on a CPU.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    if isinstance(job.config.recipe, SeparateRecipe):
        from uqdm.training.separate import train_steps

        train_steps(job, n_workers, callbacks)
    elif n_workers > 1:
        from uqdm.training.parallel import train_in_parallel

        train_in_parallel(job, n_workers, callbacks)
    else:
        run(job, callbacks)


@float32_arithmetic()
def run(
    job: Job,
    callbacks: Callbacks,
    *,
    worker: int = 0,
    n_workers: int = 1,
    wrap: Callable[[Objective], nn.Module] = lambda objective: objective,
) -> None:
    """Trains to the end in this process; as one of several workers, the first of which writes everything."""
    recipe, file = job.config.recipe, job.out / CHECKPOINT
    assert isinstance(recipe, Recipe)
    source = open_source(job.config.data, job.image_size)
    validator = Validator(job, callbacks)
    shape = {"device": job.device, "worker": worker, "n_workers": n_workers}
    training = Training(start_objective(job), recipe, source, job.image_size, **shape, wrap=wrap)  # type: ignore[arg-type]
    if file.is_file():
        state.restore(training, job.identity, file)
        callbacks.resumed(training.iteration, None)
    if worker > 0:
        while training.iteration < recipe.n_iterations:
            training.advance()
        return
    with Logs(job.out, training.objective.schedule.n_steps, training.iteration) as logs:
        if training.iteration == 0:
            validator.validate(averaged(job, training), 0, logs)
        while training.iteration < recipe.n_iterations:
            progress = training.advance()
            is_last = progress.iteration == recipe.n_iterations
            if progress.iteration % job.config.output.report_every == 0:
                logs.progress(progress)
                callbacks.progress(progress)
            if is_last or validator.is_due(progress.iteration):
                validator.validate(averaged(job, training), progress.iteration, logs)
            if is_last or progress.iteration % job.config.output.pictures_every == 0:
                validator.picture(averaged(job, training), progress.iteration, logs)
            if is_last or progress.iteration % job.config.output.checkpoint_every == 0:
                state.save(training, job.identity, file)
    training.feed.close()
    averages = training.averages.module
    write_model(job, averages.denoiser, averages.schedule.fixed(), len(source))


def averaged(job: Job, training: Training) -> Model:
    """The averaged weights and schedule as they stand."""
    averages = training.averages.module
    return job.as_model(averages.denoiser, averages.schedule.fixed())


class Validator:
    """Measures models under training by the configuration's ``validation``; does nothing without one."""

    def __init__(self, job: Job, callbacks: Callbacks):
        self._job, self._callbacks, self._wanted = job, callbacks, job.config.validation
        self._images_uint8 = np.empty(0)
        if self._wanted is not None:
            self._images_uint8 = validation_images(self._wanted.source, self._wanted.n, job.image_size)

    def is_due(self, iteration: int) -> bool:
        """Whether to validate after an iteration."""
        return self._wanted is not None and iteration % self._wanted.every == 0

    def validate(self, model: Model, iteration: int, logs: Logs) -> None:
        """Measures rates and files; raises where they are no numbers, or files don't decode."""
        if self._wanted is None:
            return
        result = validate(model, self._images_uint8, self._wanted.coded, device=self._job.device)
        if not is_finite(result):
            raise TrainingError(f"iteration {iteration}: the validation rate is {result.ideal_bpp}")
        logs.validated(iteration, result)
        self._callbacks.validated(iteration, result)

    def picture(self, model: Model, iteration: int, logs: Logs) -> None:
        """Draws estimates and samples."""
        if self._wanted is not None and self._job.image_size > 1:
            logs.picture(iteration, pictures(model, self._images_uint8[:PICTURED], device=self._job.device))
