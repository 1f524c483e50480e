"""Entry points of training: from a configuration to a model folder, by the loop that the recipe asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uqdm.training import loop
from uqdm.training.job import TrainingCallbacks, TrainingJob, prepare
from uqdm.training.recipe import StepPlan, TrainingPlan
from uqdm.training.trainer import TrainingProgress


def train_from_config(
    config_file: str | os.PathLike[str],
    images: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    report: Callable[[TrainingProgress], Any] | None = None,
    **overrides: Any,
) -> Path:
    """Trains by a configuration file in this process and writes the model to the folder ``out``; returns it.

    ``images`` and ``overrides`` are those of :func:`uqdm.training.job.prepare`; see :func:`train`.
    """
    callbacks = TrainingCallbacks() if report is None else TrainingCallbacks(progress=report)
    train(prepare(config_file, images, out, **overrides), callbacks)
    return Path(out)


def train(job: TrainingJob, callbacks: TrainingCallbacks, n_workers: int = 1) -> None:
    """Trains, and writes the model to the job's folder, with logs beside it.

    Where the folder holds a checkpoint of the same configuration, training resumes from it, bit for bit on a CPU.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    job.config.recipe.train(_Run(job, callbacks, n_workers))


@dataclass(frozen=True)
class _Run:
    """Carries out either kind of recipe (:class:`uqdm.training.recipe.TrainingModes`)."""

    job: TrainingJob
    callbacks: TrainingCallbacks
    n_workers: int

    def train_together(self, plan: TrainingPlan) -> None:
        if self.n_workers > 1:
            from uqdm.training.parallel import train_in_parallel

            train_in_parallel(self.job, plan, self.n_workers, self.callbacks)
        else:
            loop.train_together(self.job, plan, self.callbacks)

    def train_separately(self, plans: Sequence[StepPlan]) -> None:
        from uqdm.training.separate import train_steps

        train_steps(self.job, plans, self.n_workers, self.callbacks)
