"""Training in several processes by Ray Train: each takes its part of every batch, and gradients are averaged.

All workers draw the same samples and the same noise and take their own rows of them. So the batches of a run are those
of a run in one process, for any number of workers.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchTrainer, prepare_model
from ray.util.queue import Queue
from torch import nn

from uqdm.bench.execute.ray_session import ray_session
from uqdm.interrupts import leaving_at_once
from uqdm.training.contract import Objective
from uqdm.training.job import TrainingCallbacks, TrainingJob
from uqdm.training.loop import train_together
from uqdm.training.recipe import TrainingPlan
from uqdm.training.remote import absolute, cause, forwarding, passing_on
from uqdm.training.trainer import TrainingError

RAY_FOLDER = ".ray"
"""Folder of Ray Train's own files, inside the folder of a run while it runs."""


def train_in_parallel(job: TrainingJob, plan: TrainingPlan, n_workers: int, callbacks: TrainingCallbacks) -> None:
    """Runs a job in ``n_workers`` processes, each on a core (or a GPU) of its own, on this machine or a cluster.

    On a cluster, ``job.out`` and the data must be where every node finds them. Raises
    :class:`uqdm.training.trainer.TrainingError`.
    """
    _check_batches(plan, n_workers)
    use_gpu = job.device.startswith("cuda")
    with ray_session(None if use_gpu else max(n_workers, 2)):
        messages = Queue(actor_options={"num_cpus": 0})
        trainer = TorchTrainer(
            _work,
            train_loop_config={"job": absolute(job), "plan": plan, "messages": messages},
            scaling_config=ray.train.ScalingConfig(
                num_workers=n_workers, use_gpu=use_gpu, resources_per_worker={"GPU": 1} if use_gpu else {"CPU": 1}
            ),
            run_config=ray.train.RunConfig(name=job.config.name, storage_path=str(job.out.absolute() / RAY_FOLDER)),
        )
        with passing_on(messages, callbacks):
            try:
                _fit(trainer)
            except Exception as error:
                raise TrainingError(f"a worker failed: {cause(error)}") from error
    shutil.rmtree(job.out / RAY_FOLDER, ignore_errors=True)


def _fit(trainer: TorchTrainer) -> None:
    """Runs to the end. A signal to this process ends it at once, and its workers with it.

    In a thread, since in the main thread Ray Train replaces the handler of SIGINT by its own.
    """
    with leaving_at_once(), ThreadPoolExecutor(1, thread_name_prefix="fit") as pool:
        pool.submit(trainer.fit).result()


def _check_batches(plan: TrainingPlan, n_workers: int) -> None:
    for n in plan.all_batch_sizes:
        if n % n_workers:
            raise TrainingError(f"{n_workers} workers cannot share batches of {n}: choose multiples of {n_workers}")


def _work(given: dict[str, Any]) -> None:
    """Trains in one worker."""
    job = given["job"]
    context = ray.train.get_context()
    worker = context.get_world_rank()
    n_workers = context.get_world_size()
    if job.device.startswith("cuda"):
        job = dataclasses.replace(job, device=str(ray.train.torch.get_device()))
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // n_workers))
    callbacks = forwarding(given["messages"]) if worker == 0 else TrainingCallbacks()
    train_together(job, given["plan"], callbacks, worker=worker, n_workers=n_workers, wrap=_shared)


def _shared(objective: Objective) -> nn.Module:
    # Which networks an iteration trains depends on its step: the others have no gradient on any worker.
    return prepare_model(objective, move_to_device=False, parallel_strategy_kwargs={"find_unused_parameters": True})
