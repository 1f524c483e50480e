"""What is kept of a training run that a signal stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from uqdm.interrupts import Interrupted, before_leaving, noted
from uqdm.training.job import TrainingJob
from uqdm.training.loop import CHECKPOINT
from uqdm.training.separate import step_files
from uqdm.training.state import read_state
from uqdm.training.trainer import TrainingError


@contextmanager
def telling_what_is_kept(job: TrainingJob) -> Iterator[None]:
    """A signal that stops the block gets a text: the iterations in the run's checkpoints, and how to continue."""

    def tell(error: Interrupted) -> None:
        error.kept = kept(job)

    with before_leaving(tell):
        try:
            yield
        except BaseException:
            stopped = noted()
            if stopped is not None:
                tell(stopped)
            raise


def kept(job: TrainingJob) -> str:
    """What a run that stops now keeps, and how to continue."""
    files = [file for file in (job.out / CHECKPOINT, *step_files(job)) if file.is_file()]
    try:
        done = sum(int(read_state(file)["iteration"]) for file in files)
    except TrainingError as error:
        return str(error)
    if not done:
        return "no checkpoint was written yet; run the same command again to start anew"
    total = job.config.recipe.n_iterations
    return f"{done:,} of {total:,} iterations are kept in {job.out}; run the same command again to continue"
