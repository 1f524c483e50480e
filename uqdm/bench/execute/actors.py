"""A crew: Ray actors that do jobs, as many as the cluster has room for now, replaced as they are lost."""

from __future__ import annotations

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
from uqdm.bench.execute.limits import Post
from uqdm.bench.execute.worker import Worker
from uqdm.bench.execute.worker_loss import why_not_started

QUEUE = 2
"""Jobs of a member: one that is done, and the next, so that it need not wait for the driver."""

_LOOK_SECONDS = 2.0
"""Time between two looks at what the cluster has."""
_STARTS = 3
"""How often in a row members may die before they are up, until the crew gives up."""
_PATIENCE_SECONDS = 600.0
"""How long a crew waits for its first member."""


class ActorProcess:
    """The class of the actors: does jobs, one after the other, and measures how long each takes."""

    def __init__(self, threads: int, *, holds_gpu: bool) -> None:
        self._worker = Worker(threads, holds_gpu=holds_gpu)

    def hello(self) -> str:
        """The machine's name, once the process is up."""
        return platform.node()

    def run(self, job: Job, inputs: Sequence[Any]) -> Done:
        """Does one job."""
        began = time.perf_counter()
        result = job.run(self._worker, inputs)
        return Done(result, time.perf_counter() - began, platform.node())


class CrewError(OSError):
    """No member of a crew can be had. The message says why, and what to do."""


@dataclass(eq=False)
class Member:
    """One actor: its jobs in order, the first of which it is doing since ``began``, and where it is, once it is up."""

    actor: Any
    knock: ray.ObjectRef
    node: str
    host: str | None = None
    jobs: deque[tuple[ray.ObjectRef, Any]] = field(default_factory=deque)
    began: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether it has answered."""
        return self.host is not None


class Crew:
    """Members of one kind of post, at most ``most`` of them, ``beside`` others whose posts have priority."""

    def __init__(self, post: Post, most: int, beside: Post | None = None) -> None:
        self.post, self.members = post, list[Member]()
        self._most, self._beside = max(1, most), beside
        self._unfit: set[str] = set()
        self._looked, self._failures, self._last_up = 0.0, 0, time.monotonic()
        self._reason = "no node has room for it"

    def staff(self) -> None:
        """Starts members as far as there is room; raises :class:`CrewError` where none can be had for long."""
        now = time.monotonic()
        if any(member.is_up for member in self.members):
            self._last_up = now
        elif now - self._last_up > _PATIENCE_SECONDS:
            raise CrewError(
                f"no worker for {self._needs()} could be started in {_PATIENCE_SECONDS:.0f} s: {self._reason}. "
                "What is done is kept; give the cluster such a node, and run again"
            )
        if len(self.members) >= self._most or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        free = Counter(places(self.post, self._beside))
        self._unfit &= free.keys()
        if self._unfit == free.keys():  # then any will have to do
            self._unfit.clear()
        for node in self._unfit:
            del free[node]
        free.subtract(member.node for member in self.members if member.node in free)
        while len(self.members) < self._most and free and max(free.values()) > 0:
            node = max(free, key=free.__getitem__)
            free[node] -= 1
            self.members.append(self._start(node))

    def _start(self, node: str) -> Member:
        options = {"num_cpus": self.post.cpus, "num_gpus": self.post.gpus, "max_restarts": 0, "max_task_retries": 0}
        cls: Any = ray.remote(ActorProcess)
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        actor = cls.options(**options, scheduling_strategy=there).remote(self.post.cpus, holds_gpu=self.post.gpus > 0)
        return Member(actor, actor.hello.remote(), node)

    def answered(self, member: Member) -> None:
        """Takes in that a member is up, or that it died before it was."""
        try:
            member.host = ray.get(member.knock)
            self._failures = 0
        except RayError as error:
            self.dismiss(member)
            self._failures += 1
            self._looked, self._reason = 0.0, why_not_started(error)
            if self._failures >= _STARTS and not any(other.is_up for other in self.members):
                raise CrewError(f"workers for {self._needs()} die before they are up: {self._reason}") from error

    def give(self, member: Member, job: Any, inputs: Any, tag: Any) -> None:
        """Hands a job to a member; ``tag`` is what the caller knows it by."""
        if not member.jobs:
            member.began = time.monotonic()
        member.jobs.append((member.actor.run.remote(job, inputs), tag))

    def finished(self, member: Member) -> Any:
        """Takes the first job off a member, and returns its tag; the next begins."""
        member.began = time.monotonic()
        return member.jobs.popleft()[1]

    def dismiss(self, member: Member) -> list[Any]:
        """Ends a member, and returns the tags of the jobs that it had. Another is started when there is room."""
        self.members.remove(member)
        ray.kill(member.actor)
        self._looked = 0.0
        return [tag for _, tag in member.jobs]

    def leave_out(self, node: str) -> None:
        """Has no new members on a node any more, as long as there are others."""
        self._unfit.add(node)

    def close(self) -> None:
        """Ends all members, and frees their cores, GPUs and memory."""
        for member in list(self.members):
            self.dismiss(member)

    def _needs(self) -> str:
        cores = f"{self.post.cpus} core{'s' if self.post.cpus > 1 else ''}"
        return cores + (f" and {self.post.gpus:g} GPU" if self.post.gpus else "")


def places(post: Post, beside: Post | None = None) -> dict[str, int]:
    """How many members of a post each living node has room for, beside as many as fit of another post."""
    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
    found = {name: post.room(_left(node, beside) if beside else node) for name, node in nodes.items()}
    return {name: count for name, count in found.items() if count}


def _left(node: dict[str, float], beside: Post) -> dict[str, float]:
    return {**node, "CPU": node.get("CPU", 0) - beside.room(node) * beside.cpus}
