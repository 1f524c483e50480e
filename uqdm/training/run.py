"""The entry point of training: from a job to a model folder, by the loop that the recipe asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uqdm.training import loop
from uqdm.training.data import check_source
from uqdm.training.job import TrainingCallbacks, TrainingJob
from uqdm.training.recipe import StepPlan, TrainingPlan


def train(job: TrainingJob, callbacks: TrainingCallbacks, n_workers: int = 1) -> None:
    """Trains, and writes the model to the job's folder, with logs beside it.

    Where the folder holds a checkpoint of the same configuration, training resumes from it, bit for bit on a CPU.
    Raises ValueError where the source of the data is not there, before anything is written.
    """
    check_source(job.config.data, job.image_size)
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
