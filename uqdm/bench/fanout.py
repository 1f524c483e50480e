"""Fans jobs on shards out over Ray, with bounded memory, and finds the image that kills a worker."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from uqdm.bench.measure import describe
from uqdm.bench.ray_session import Resources
from uqdm.bench.shards import Images, Shard
from uqdm.bench.worker import Job, Worker, run_job
from uqdm.codec import check_images

RETRIES = 2
"""How often Ray runs a shard again whose worker died, before its images are run one by one."""

_TICK_SECONDS = 1.0


class Pool(Protocol):
    """Where jobs run: ``capacity`` of them may be under way at once."""

    capacity: int

    def submit(self, job: Job, images: ray.ObjectRef | list[np.ndarray]) -> ray.ObjectRef:
        """Starts a job."""

    def release(self, ref: ray.ObjectRef) -> None:
        """Says that the job behind ``ref`` is over, done or lost."""

    def close(self) -> None:
        """Frees what the pool holds."""


class TaskPool:
    """Plain Ray tasks: any free worker takes the next job."""

    def __init__(self, resources: Resources) -> None:
        self.capacity = 2 * resources.cpus + 2  # each worker finds its next job waiting
        self._task = ray.remote(run_job).options(num_cpus=1, max_retries=RETRIES)

    def submit(self, job: Job, images: ray.ObjectRef | list[np.ndarray]) -> ray.ObjectRef:
        """Starts a job."""
        return self._task.remote(job.ready(), images)

    def release(self, ref: ray.ObjectRef) -> None:
        """Nothing to do: Ray frees the worker."""

    def close(self) -> None:
        """Nothing to do."""


class ActorPool:
    """Ray actors that keep a model loaded, one for each GPU or, without any, for each core.

    An actor has one job at a time: one that waited behind a job which kills the actor would count as tried too.
    """

    def __init__(self, resources: Resources, n_jobs: int) -> None:
        self.capacity = max(1, min(resources.gpus or resources.cpus, n_jobs))
        options = {"num_cpus": 1, "num_gpus": 1 if resources.gpus else 0, "max_restarts": -1}
        actor: Any = ray.remote(Worker).options(**options, max_task_retries=RETRIES)
        self._idle = [actor.remote() for _ in range(self.capacity)]
        self._busy: dict[ray.ObjectRef, Any] = {}

    def submit(self, job: Job, images: ray.ObjectRef | list[np.ndarray]) -> ray.ObjectRef:
        """Starts a job on an idle actor."""
        actor = self._idle.pop()
        ref = actor.run.remote(job.ready(), images)
        self._busy[ref] = actor
        return ref

    def release(self, ref: ray.ObjectRef) -> None:
        """Makes the actor idle again; Ray restarts it if it died."""
        self._idle.append(self._busy.pop(ref))

    def close(self) -> None:
        """Stops the actors, and frees their cores, GPUs and memory."""
        for actor in [*self._idle, *self._busy.values()]:
            ray.kill(actor)


class ImageCache:
    """Ranges of images in Ray's object store, loaded when first asked for; the oldest go when ``budget`` is full."""

    def __init__(self, dataset: Images, budget_bytes: int) -> None:
        self._dataset = dataset
        self._budget_bytes = budget_bytes
        self._kept: OrderedDict[tuple[int, int], tuple[ray.ObjectRef, int]] = OrderedDict()

    def load(self, shard: Shard) -> list[np.ndarray]:
        """The images of a shard, checked."""
        images = [self._dataset.load(index) for index in range(shard.start, shard.stop)]
        check_images(images)
        return images

    def get(self, shard: Shard) -> tuple[ray.ObjectRef, int]:
        """The images of a shard in the object store, and their bytes."""
        key = (shard.start, shard.stop)
        if key not in self._kept:
            images = self.load(shard)
            n_bytes = sum(image.nbytes for image in images)
            while self._kept and sum(size for _, size in self._kept.values()) + n_bytes > self._budget_bytes:
                self._kept.popitem(last=False)
            self._kept[key] = (ray.put(images), n_bytes)
        self._kept.move_to_end(key)
        return self._kept[key]


@dataclass
class _Split:
    """A job whose worker died again and again, run image by image; ``parts`` are what has come back."""

    job: Job
    parts: dict[int, Any] = field(default_factory=dict)

    def merged(self) -> Any:
        return self.job.merged([self.parts[index] for index in sorted(self.parts)])


class Fanout:
    """Runs jobs on a pool; hands what each gave to ``done``, and calls ``tick`` at least every second or so."""

    def __init__(
        self,
        pool: Pool,
        cache: ImageCache,
        budget_bytes: int,
        done: Callable[[Any, Any], None],
        tick: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._cache = cache
        self._budget_bytes = budget_bytes
        self._done = done
        self._tick = tick
        self._waiting: deque[tuple[Job, _Split | None]] = deque()
        self._running: dict[ray.ObjectRef, tuple[Job, _Split | None, int]] = {}

    def run(self, jobs: Iterable[Job]) -> None:
        """Runs all of ``jobs``; returns when the last is done."""
        self._waiting.extend((job, None) for job in jobs)
        while self._waiting or self._running:
            self._submit()
            ready, _ = ray.wait(list(self._running), timeout=_TICK_SECONDS)
            for ref in ready:
                self._collect(ref)
            self._tick()

    def _submit(self) -> None:
        """Starts what there is room for, in workers and in the object store; one job always fits."""
        while self._waiting and len(self._running) < self._pool.capacity:
            job, split = self._waiting[0]
            images, n_bytes = self._images(job)
            if self._running and n_bytes + self._bytes_running() > self._budget_bytes:
                return
            self._waiting.popleft()
            self._running[self._pool.submit(job, images)] = (job, split, n_bytes)

    def _images(self, job: Job) -> tuple[ray.ObjectRef | list[np.ndarray], int]:
        return self._cache.get(job.shard) if job.takes_images else ([], 0)

    def _bytes_running(self) -> int:
        ranges = {(job.shard.start, job.shard.stop): n_bytes for job, _, n_bytes in self._running.values()}
        return sum(ranges.values())

    def _collect(self, ref: ray.ObjectRef) -> None:
        job, split, _ = self._running.pop(ref)
        self._pool.release(ref)
        try:
            result = ray.get(ref)
        except RayTaskError:  # raised by our own code, not by a codec: a fault of the program
            raise
        except RayError as error:
            if len(job.shard.image_ids) > 1:
                whole = _Split(job)
                self._waiting.extendleft((part, whole) for part in job.alone())
                return
            images = self._cache.load(job.shard) if job.takes_images else []
            result = job.lost(images, _loss(error))
        self._finish(job, split, result)

    def _finish(self, job: Job, split: _Split | None, result: Any) -> None:
        if split is None:
            self._done(job, result)
            return
        split.parts[job.shard.start] = result
        if len(split.parts) == len(split.job.shard.image_ids):
            self._done(split.job, split.merged())


def _loss(error: RayError) -> str:
    """Why a worker was lost; Ray's own text for a dead actor is a page long."""
    kind = "actor died" if isinstance(error, RayActorError) else describe(error)
    return f"worker lost {RETRIES + 1} times on this image (crash, kill or out of memory): {kind}"
