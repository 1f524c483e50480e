"""A pool of Ray actors that run jobs: as many as the cluster has room for, replaced when they are lost."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from uqdm.bench.execute.job import Done, Job
from uqdm.bench.execute.limits import ActorResources
from uqdm.bench.execute.worker import Worker, limit_threads
from uqdm.bench.execute.worker_loss import why_not_started
from uqdm.text import counted

QUEUE = 2
"""Jobs of an actor: the one that it runs, and the next, so that it need not wait for the driver."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What libraries take their number of threads from when they are loaded."""
_LOOK_SECONDS = 2.0
"""Time between two checks of the cluster's free resources."""
_STARTS = 3
"""How often in a row actors may die before they are up, until the pool gives up."""
_PATIENCE_SECONDS = 600.0
"""How long a pool waits for its first actor."""


class ActorProcess:
    """The class of the actors: runs jobs in sequence, and measures the time of each."""

    def __init__(self, threads: int, *, holds_gpu: bool) -> None:
        # Snakemake sets them to all cores of a rule, and Ray keeps that; programs and libraries loaded later read them.
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        limit_threads(threads)
        self._worker = Worker(threads, holds_gpu=holds_gpu)

    def hello(self, job_class: type) -> str:
        """The machine's name, once the process is up and has imported the modules of ``job_class``.

        So the time limit of the first job does not include these imports.
        """
        return platform.node()

    def run(self, job: Job, inputs: Sequence[Any]) -> Done:
        """Runs one job."""
        began = time.perf_counter()
        result = job.run(self._worker, inputs)
        return Done(result, time.perf_counter() - began, platform.node())


class ActorPoolError(OSError):
    """No actor could be started. The message has the reason and the remedy."""


@dataclass(eq=False)
class Actor:
    """The driver's handle of an actor.

    ``jobs`` are results to come with the caller's tags, in order; the actor does the first since ``began``.
    ``host`` is None until the actor is up.
    """

    handle: Any
    ready_ref: ray.ObjectRef
    node: str
    host: str | None = None
    jobs: deque[tuple[ray.ObjectRef, Any]] = field(default_factory=deque)
    began: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether its process runs."""
        return self.host is not None

    @property
    def next_ref(self) -> ray.ObjectRef | None:
        """Its next result: that it is up, or the result of its first job; None if it is idle."""
        if not self.is_up:
            return self.ready_ref
        return self.jobs[0][0] if self.jobs else None


class ActorPool:
    """Up to ``most`` identical actors.

    They run jobs of ``job_class``. Each uses ``resources`` of its node. Resources for as many ``reserved``
    actors as fit stay free for another pool.
    """

    def __init__(
        self, job_class: type, resources: ActorResources, most: int, reserved: ActorResources | None = None
    ) -> None:
        self.resources = resources
        self.actors: list[Actor] = []
        self._job_class = job_class
        self._most = max(1, most)
        self._reserved = reserved
        self._avoided: set[str] = set()
        self._looked = 0.0
        self._failures = 0
        self._last_up = time.monotonic()
        self._reason = "no node has room for it"

    def start_missing(self) -> None:
        """Starts actors where there is room; raises :class:`ActorPoolError` if there was none for a long time."""
        self._check_patience()
        now = time.monotonic()
        if len(self.actors) >= self._most or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        free = self._free_places()
        while len(self.actors) < self._most and free and max(free.values()) > 0:
            node = max(free, key=free.__getitem__)
            free[node] -= 1
            self.actors.append(self._start(node))

    def _check_patience(self) -> None:
        now = time.monotonic()
        if any(actor.is_up for actor in self.actors):
            self._last_up = now
        elif now - self._last_up > _PATIENCE_SECONDS:
            raise ActorPoolError(
                f"no worker for {self._needs()} could be started in {_PATIENCE_SECONDS:.0f} s: {self._reason}. "
                "What is done is kept; give the cluster such a node, and run again"
            )

    def _free_places(self) -> Counter[str]:
        free = Counter(places(self.resources, self._reserved))
        self._avoided &= free.keys()
        if self._avoided == free.keys():  # if all nodes are avoided, all are used
            self._avoided.clear()
        for node in self._avoided:
            del free[node]
        free.subtract(actor.node for actor in self.actors if actor.node in free)
        return free

    def _start(self, node: str) -> Actor:
        cls: Any = ray.remote(ActorProcess).options(
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
        )
        handle = cls.remote(self.resources.cpus, holds_gpu=self.resources.gpus > 0)
        return Actor(handle, handle.hello.remote(self._job_class), node)

    def set_ready(self, actor: Actor) -> None:
        """Notes that the actor's ``ready_ref`` is ready: it is up, or it died first."""
        try:
            actor.host = ray.get(actor.ready_ref)
            self._failures = 0
        except RayError as error:
            self.stop(actor)
            self._failures += 1
            self._reason = why_not_started(error)
            if self._failures >= _STARTS and not any(other.is_up for other in self.actors):
                raise ActorPoolError(f"workers for {self._needs()} die before they are up: {self._reason}") from error

    def submit(self, actor: Actor, job: Job, inputs: Any, tag: Any) -> None:
        """Sends a job to an actor; ``tag`` identifies it for the caller."""
        if not actor.jobs:
            actor.began = time.monotonic()
        actor.jobs.append((actor.handle.run.remote(job, inputs), tag))

    def pop_finished(self, actor: Actor) -> Any:
        """Removes the actor's first job, and returns its tag; the next begins."""
        actor.began = time.monotonic()
        return actor.jobs.popleft()[1]

    def stop(self, actor: Actor) -> list[Any]:
        """Kills an actor, and returns the tags of its jobs. Another is started when there is room."""
        self.actors.remove(actor)
        ray.kill(actor.handle)
        self._looked = 0.0
        return [tag for _, tag in actor.jobs]

    def avoid_node(self, node: str) -> None:
        """Starts no more actors on a node while there are other nodes."""
        self._avoided.add(node)

    def close(self) -> None:
        """Kills all actors, and frees their cores, GPUs and memory."""
        for actor in list(self.actors):
            self.stop(actor)

    def _needs(self) -> str:
        cores = counted(self.resources.cpus, "core")
        return cores + (f" and {self.resources.gpus:g} GPU" if self.resources.gpus else "")


def places(resources: ActorResources, reserved: ActorResources | None = None) -> dict[str, int]:
    """How many actors each living node has room for, after as many ``reserved`` actors as fit."""
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
    found = {name: resources.fit(_without(node, reserved) if reserved else node) for name, node in nodes.items()}
    return {name: count for name, count in found.items() if count}


def _without(node: dict[str, float], reserved: ActorResources) -> dict[str, float]:
    return {**node, "CPU": node.get("CPU", 0) - reserved.fit(node) * reserved.cpus}
