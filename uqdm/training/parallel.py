"""Training in several processes, by Ray Train: each takes its part of every batch, gradients are averaged.

All workers draw the same samples and the same noise and take their own rows of it, so that a run has the batches of a
run in one process, whatever the number of workers.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchTrainer, prepare_model
from ray.util.queue import Empty, Queue
from torch import nn

from uqdm.bench.execute.ray_session import ray_session
from uqdm.model.zoo import absolute_name
from uqdm.paths import absolute_text, split_path
from uqdm.training.job import Callbacks, Job
from uqdm.training.objective import Objective
from uqdm.training.recipe import Recipe
from uqdm.training.run import run
from uqdm.training.trainer import TrainingError

RAY_FOLDER = ".ray"
"""Inside a run's folder while it runs: what Ray Train notes for itself."""


def train_in_parallel(job: Job, n_workers: int, callbacks: Callbacks) -> None:
    """Runs a job in ``n_workers`` processes, each on a core (or a GPU) of its own, on this machine or a cluster.

    On a cluster, ``job.out`` and the data must be where every node finds them. Raises
    :class:`uqdm.training.trainer.TrainingError`.
    """
    _check_batches(job, n_workers)
    use_gpu = job.device.startswith("cuda")
    with ray_session(None if use_gpu else max(n_workers, 2)):
        messages = Queue(actor_options={"num_cpus": 0})
        trainer = TorchTrainer(
            _work,
            train_loop_config={"job": absolute(job), "messages": messages},
            scaling_config=ray.train.ScalingConfig(
                num_workers=n_workers, use_gpu=use_gpu, resources_per_worker={"GPU": 1} if use_gpu else {"CPU": 1}
            ),
            run_config=ray.train.RunConfig(name=job.config.name, storage_path=str(job.out.absolute() / RAY_FOLDER)),
        )
        with passing_on(messages, callbacks):
            try:
                trainer.fit()
            except Exception as error:
                raise TrainingError(f"a worker failed: {cause(error)}") from error
    shutil.rmtree(job.out / RAY_FOLDER, ignore_errors=True)


def _check_batches(job: Job, n_workers: int) -> None:
    assert isinstance(job.config.recipe, Recipe)
    for n in job.config.recipe.all_batch_sizes:
        if n % n_workers:
            raise TrainingError(f"{n_workers} workers cannot share batches of {n}: choose multiples of {n_workers}")


def absolute(job: Job) -> Job:
    """The job with paths that hold in any working directory."""
    data, config = job.config.data, job.config
    kind, _, argument = (data.source or "").partition(":")
    if argument:
        path, rest = split_path(argument)
        key = f"#{rest}" if rest else ""
        data = dataclasses.replace(data, source=f"{kind}:{absolute_text(path)}{key}")
    init = absolute_name(config.init) if config.init else config.init
    return dataclasses.replace(job, config=dataclasses.replace(config, data=data, init=init), out=job.out.absolute())


def cause(error: BaseException) -> BaseException:
    """The first error behind those that Ray wraps around it."""
    failures = getattr(error, "worker_failures", None)
    if failures:
        return cause(next(iter(failures.values())))
    inner = getattr(error, "cause", None) or error.__cause__
    return cause(inner) if isinstance(inner, BaseException) and inner is not error else error


def _work(given: dict[str, Any]) -> None:
    """What each worker does."""
    job, messages = given["job"], given["messages"]
    context = ray.train.get_context()
    worker, n_workers = context.get_world_rank(), context.get_world_size()
    if job.device.startswith("cuda"):
        job = dataclasses.replace(job, device=str(ray.train.torch.get_device()))
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // n_workers))
    callbacks = forwarding(messages) if worker == 0 else Callbacks()
    run(job, callbacks, worker=worker, n_workers=n_workers, wrap=_shared)


def forwarding(messages: Queue) -> Callbacks:
    """Callbacks of a worker, which :func:`passing_on` calls in the process that started it."""
    return Callbacks(
        lambda progress: messages.put(("progress", (progress,))),
        lambda iteration, result: messages.put(("validated", (iteration, result))),
        lambda iteration, part: messages.put(("resumed", (iteration, part))),
    )


def _shared(objective: Objective) -> nn.Module:
    # Which networks an iteration trains depends on its step: the others have no gradient on any worker.
    return prepare_model(objective, move_to_device=False, parallel_strategy_kwargs={"find_unused_parameters": True})


@contextmanager
def passing_on(messages: Queue, callbacks: Callbacks) -> Iterator[None]:
    """Calls back in this process what the first worker reports, while the block runs."""
    done = threading.Event()

    def pass_on() -> None:
        while not (done.is_set() and messages.empty()):
            try:
                name, arguments = messages.get(timeout=0.2)
            except Empty:
                continue
            getattr(callbacks, name)(*arguments)

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=10)
