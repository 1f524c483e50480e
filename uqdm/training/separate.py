"""Training of models whose steps share no weights: each step by itself, several at a time in processes of a thread.

A step's training depends on the recipe, the data and the step alone, not on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import ray
import torch
from ray.util.queue import Queue

from uqdm.bench.execute.ray_session import ray_session
from uqdm.bench.execute.waiting import completed
from uqdm.model import checkpoint
from uqdm.model.arithmetic import float32_arithmetic
from uqdm.training import state
from uqdm.training.data import open_source
from uqdm.training.job import Callbacks, Job, start_objective, write_model
from uqdm.training.logs import Logs
from uqdm.training.parallel import absolute, cause, forwarding, passing_on
from uqdm.training.recipe import SeparateRecipe, StepPlan
from uqdm.training.run import Validator
from uqdm.training.trainer import Training, TrainingError


@float32_arithmetic()
def train_steps(job: Job, n_processes: int, callbacks: Callbacks) -> None:
    """Trains every step, the longest first, ``n_processes`` at a time, and writes the model that they make together."""
    recipe = job.config.recipe
    assert isinstance(recipe, SeparateRecipe)
    validator = Validator(job, callbacks)
    order = sorted(range(len(recipe.iterations)), key=lambda index: -recipe.iterations[index])
    schedule = checkpoint.build_schedule(job.model)
    if not any(_file(job, index).exists() for index in order):
        with Logs(job.out, schedule.n_steps, 0) as logs:
            validator.validate(job.as_model(start_objective(job).denoiser, schedule), 0, logs)
    if n_processes > 1:
        _in_processes(job, order, n_processes, callbacks)
    else:
        for index in order:
            train_step(job, index, callbacks)
    denoiser, _ = checkpoint.build(job.model)
    weights = denoiser.state_dict()
    for index in order:
        weights |= state.trained_averages(_file(job, index))
    denoiser.load_state_dict(weights)
    model, done = job.as_model(denoiser, schedule), recipe.n_iterations
    with Logs(job.out, schedule.n_steps, done) as logs:
        validator.validate(model, done, logs)
        validator.picture(model, done, logs)
    write_model(job, denoiser, schedule, len(open_source(job.config.data, job.image_size)))


@float32_arithmetic()
def train_step(job: Job, index: int, callbacks: Callbacks) -> None:
    """Trains one step to its end on one thread; goes on where a checkpoint of it is."""
    recipe = job.config.recipe
    assert isinstance(recipe, SeparateRecipe)
    plan, file, output = StepPlan(recipe, index), _file(job, index), job.config.output
    with _one_thread():
        source = open_source(job.config.data, job.image_size)
        training = Training(start_objective(job), plan, source, job.image_size, device=job.device, part=index)
        if file.is_file():
            state.restore(training, job.identity, file)
            callbacks.resumed(training.iteration, index)
        with Logs(job.out, training.objective.schedule.n_steps, training.iteration, part=index) as logs:
            while training.iteration < plan.n_iterations:
                progress = training.advance()
                if progress.iteration % output.report_every == 0:
                    logs.progress(progress)
                    callbacks.progress(progress)
                if progress.iteration % output.checkpoint_every == 0 or progress.iteration == plan.n_iterations:
                    state.save(training, job.identity, file)
        training.feed.close()


def _file(job: Job, index: int) -> Path:
    return job.out / f"step-{index + 1}.safetensors"


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # of another number, sums differ in their last digits
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _in_processes(job: Job, order: list[int], n_processes: int, callbacks: Callbacks) -> None:
    gpus = 1 if job.device.startswith("cuda") else 0
    with ray_session(None if gpus else n_processes):
        messages = Queue(actor_options={"num_cpus": 0})
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_work)
        tasks = ((task.remote(absolute(job), index, messages), index) for index in order)
        with passing_on(messages, callbacks):
            try:
                # No more at once: a task that waits for the queue seems idle to Ray, which starts another.
                with closing(completed(tasks, n_processes)) as done:
                    for reference, _ in done:
                        ray.get(reference)
            except Exception as error:
                raise TrainingError(f"a worker failed: {cause(error)}") from error


def _work(job: Job, index: int, messages: Queue) -> None:
    train_step(job, index, forwarding(messages))
