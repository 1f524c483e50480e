"""Training of models whose steps share no weights: each step by itself, several at a time in processes of one thread.

The training of a step depends only on recipe, data and step, not on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import ray
import torch
from ray.util.queue import Queue

from uqdm.arithmetic import float32_arithmetic
from uqdm.bench.execute.ray_session import ray_session
from uqdm.bench.execute.waiting import completed
from uqdm.interrupts import interrupts_held, leaving_at_once, noted, raise_if_interrupted
from uqdm.training import state
from uqdm.training.job import TrainingCallbacks, TrainingJob, start_objective, write_model
from uqdm.training.logs import Logs
from uqdm.training.loop import Validator
from uqdm.training.recipe import StepPlan
from uqdm.training.remote import absolute, cause, forwarding, passing_on
from uqdm.training.trainer import Training, TrainingError


@float32_arithmetic()
def train_steps(job: TrainingJob, plans: Sequence[StepPlan], n_processes: int, callbacks: TrainingCallbacks) -> None:
    """Trains every step, the longest first, ``n_processes`` at a time, and writes the model of all steps."""
    validator = Validator(job, callbacks)
    order = sorted(plans, key=lambda plan: -plan.n_iterations)
    if not any(_file(job, plan.index).exists() for plan in order):
        start = start_objective(job)
        with Logs(job.board_run, job.kind.columns(job.model, start), 0) as logs:
            validator.validate(job.snapshot(start), 0, logs)
    if n_processes > 1:
        _in_processes(job, order, n_processes, callbacks)
    else:
        for plan in order:
            train_step(job, plan, callbacks)
    trained = start_objective(job)
    weights = trained.state_dict()
    for plan in order:
        weights |= state.trained_averages(_file(job, plan.index))
    trained.load_state_dict(weights)
    model = job.snapshot(trained)
    done = sum(plan.n_iterations for plan in plans)
    with Logs(job.board_run, job.kind.columns(job.model, trained), done) as logs:
        validator.validate(model, done, logs)
        validator.picture(model, done, logs)
    write_model(job, trained, len(job.open_source()))


@float32_arithmetic()
def train_step(job: TrainingJob, plan: StepPlan, callbacks: TrainingCallbacks) -> None:
    """Trains one step to its end on one thread; resumes from the step's checkpoint if there is one."""
    index = plan.index
    file = _file(job, index)
    output = job.config.output
    with _one_thread():
        source = job.open_source()
        training = Training(start_objective(job), plan, source, job.image_size, device=job.device, only_step=index)
        if file.is_file():
            state.restore(training, job.identity, file)
            callbacks.resumed(training.iteration, index)
        columns = job.kind.columns(job.model, training.objective)
        logs = Logs(job.board_run, columns, training.iteration, only_step=index)
        with logs, interrupts_held():
            while training.iteration < plan.n_iterations:
                progress = training.advance()
                if progress.iteration % output.report_every == 0:
                    logs.progress(progress)
                    callbacks.progress(progress)
                is_last = noted() is not None or progress.iteration == plan.n_iterations
                if is_last or progress.iteration % output.checkpoint_every == 0:
                    state.save(training, job.identity, file)
                raise_if_interrupted()
        training.feed.close()


def step_files(job: TrainingJob) -> list[Path]:
    """The checkpoints of the steps that are there."""
    return sorted(job.out.glob("step-*.safetensors"))


def _file(job: TrainingJob, index: int) -> Path:
    return job.out / f"step-{index + 1}.safetensors"


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the number of threads changes the last digits of sums
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_processes(job: TrainingJob, order: Sequence[StepPlan], n_processes: int, callbacks: TrainingCallbacks) -> None:
    gpus = 1 if job.device.startswith("cuda") else 0
    with ray_session(None if gpus else n_processes):
        messages = Queue(actor_options={"num_cpus": 0})
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_work)
        tasks = ((task.remote(absolute(job), plan, messages), plan.index) for plan in order)
        with passing_on(messages, callbacks), leaving_at_once():  # each worker writes checkpoints of its own
            try:
                # No more at once: a task that waits for the queue seems idle to Ray, which starts another.
                with closing(completed(tasks, n_processes)) as done:
                    for reference, _ in done:
                        ray.get(reference)
            except Exception as error:
                raise TrainingError(f"a worker failed: {cause(error)}") from error


def _work(job: TrainingJob, plan: StepPlan, messages: Queue) -> None:
    train_step(job, plan, forwarding(messages))
