"""The training loop of one process, with checkpoints, logs and validation on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.interrupts import interrupts_held, noted, raise_if_interrupted
from uqdm.training import state
from uqdm.training.contract import Objective
from uqdm.training.job import TrainingCallbacks, TrainingJob, start_objective, write_model
from uqdm.training.logs import Logs
from uqdm.training.recipe import TrainingPlan
from uqdm.training.trainer import Training, TrainingError
from uqdm.training.validation import validation_images

CHECKPOINT = "checkpoint.safetensors"
PICTURED = 4  # validation images on a sheet of pictures


@float32_arithmetic()
def train_together(
    job: TrainingJob,
    plan: TrainingPlan,
    callbacks: TrainingCallbacks,
    *,
    worker: int = 0,
    n_workers: int = 1,
    wrap: Callable[[Objective], nn.Module] = lambda objective: objective,
) -> None:
    """Trains all steps of a model in this process and writes the model.

    With several workers this process is number ``worker`` of them; the first one alone writes files and calls back.
    ``wrap`` is that of :class:`uqdm.training.trainer.Training`.
    """
    file = job.out / CHECKPOINT
    source = job.open_source()
    validator = Validator(job, callbacks)
    training = Training(
        start_objective(job),
        plan,
        source,
        job.image_size,
        device=job.device,
        worker=worker,
        n_workers=n_workers,
        wrap=wrap,
    )
    if file.is_file():
        state.restore(training, job.identity, file)
        callbacks.resumed(training.iteration, None)
    if worker > 0:
        while training.iteration < plan.n_iterations:
            training.advance()
        return
    columns = job.kind.columns(job.model, training.objective)
    with Logs(job.board_run, columns, training.iteration) as logs:
        if training.iteration == 0:
            validator.validate(job.snapshot(training.averages.module), 0, logs)
        with interrupts_held():
            while training.iteration < plan.n_iterations:
                raise_if_interrupted()
                progress = training.advance()
                is_last = progress.iteration == plan.n_iterations
                if progress.iteration % job.config.output.report_every == 0:
                    logs.progress(progress)
                    callbacks.progress(progress)
                if is_last or validator.is_due(progress.iteration):
                    validator.validate(job.snapshot(training.averages.module), progress.iteration, logs)
                if is_last or progress.iteration % job.config.output.pictures_every == 0:
                    validator.picture(job.snapshot(training.averages.module), progress.iteration, logs)
                is_stopped = noted() is not None
                if is_last or is_stopped or progress.iteration % job.config.output.checkpoint_every == 0:
                    state.save(training, job.identity, file)
    training.feed.close()
    write_model(job, training.averages.module, len(source))


class Validator:
    """Measures models under training by the configuration's ``validation``; does nothing without one."""

    def __init__(self, job: TrainingJob, callbacks: TrainingCallbacks):
        self._job = job
        self._callbacks = callbacks
        self._settings = job.config.validation
        self._images_uint8 = np.empty(0)
        if self._settings is not None:
            self._images_uint8 = validation_images(self._settings.source, self._settings.n, job.image_size)

    def is_due(self, iteration: int) -> bool:
        """Whether to validate after an iteration."""
        return self._settings is not None and iteration % self._settings.every == 0

    def validate(self, model: Any, iteration: int, logs: Logs) -> None:
        """Measures rates and files. Raises ValueError where a rate is not a number or a file does not decode."""
        if self._settings is None:
            return
        result = self._job.kind.validate(model, self._images_uint8, self._settings.coded, self._job.device)
        if not math.isfinite(result.ideal_bpp):
            raise TrainingError(f"iteration {iteration}: the validation rate is {result.ideal_bpp}")
        logs.validated(iteration, result)
        self._callbacks.validated(iteration, result)

    def picture(self, model: Any, iteration: int, logs: Logs) -> None:
        """Draws a sheet of estimates and samples; none for points."""
        if self._settings is not None and self._job.image_size > 1:
            logs.picture(iteration, self._job.kind.pictures(model, self._images_uint8[:PICTURED], self._job.device))
