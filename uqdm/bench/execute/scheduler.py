"""Schedules a group of jobs on a pool of actors: prefetch, hand out, collect, and retry."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
from ray.exceptions import RayError, RayTaskError

from uqdm.bench.execute.actors import QUEUE, Actor, ActorPool
from uqdm.bench.execute.job import Done, Job, NotLoaded
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.prefetch import Prefetcher
from uqdm.bench.execute.retry import Action, Failure, LoadFailed, TimeLimitExceeded, WorkerLost
from uqdm.bench.execute.waiting import ready_refs
from uqdm.bench.execute.worker_loss import why_lost


@dataclass(frozen=True)
class Group:
    """Jobs of one class for one pool of actors, about ``n_jobs`` of them; lazily generated.

    ``most_workers`` is the greatest number of actors; None for as many as there is room for.
    """

    job_class: type[Job]
    jobs: Iterable[Job]
    n_jobs: int
    uses_gpu: bool = False
    most_workers: int | None = None


class Listener(Protocol):
    """Callbacks for events of a run."""

    def done(self, job: Any, done: Done) -> None:
        """A job of a group is done; a job that was split is reported once, as a whole."""

    def tick(self) -> None:
        """About a second has passed."""

    def say(self, text: str) -> None:
        """A failure was handled; ``text`` describes it."""


@dataclass
class _Split:
    """A job whose items are jobs of their own."""

    job: Job
    n_parts: int
    parts: dict[int, Done] = field(default_factory=dict)

    def merged(self) -> Done:
        parts = [self.parts[index] for index in sorted(self.parts)]
        result = self.job.merge([part.result for part in parts])
        seconds = sum(part.seconds for part in parts)
        return Done(result, seconds, parts[-1].host, max(part.tries for part in parts))


@dataclass(eq=False)
class _Entry:
    """An unfinished job: the number of its failures of each kind, and nodes that it avoids."""

    job: Job
    split: _Split | None = None
    part: int = 0
    """Its place in ``split``."""
    prepared: Future[Job] | None = None
    """The job with its data from disk; None until that is requested."""
    failures: Counter[type] = field(default_factory=Counter)
    avoided: set[str] = field(default_factory=set)

    @property
    def tries(self) -> int:
        return 1 + self.failures.total()


class Scheduler:
    """Runs one group of jobs on its pool of actors."""

    def __init__(
        self,
        group: Group,
        pool: ActorPool,
        prefetcher: Prefetcher,
        disk: ThreadPoolExecutor,
        listener: Listener,
        limits: WorkerLimits,
    ) -> None:
        self.pool = pool
        self._jobs = iter(group.jobs)
        self._expected = group.n_jobs
        self._under_way = 0
        self._exhausted = False
        self._prefetcher = prefetcher
        self._disk = disk
        self._listener = listener
        self._limits = limits
        self._waiting = deque[_Entry]()
        self._next: _Entry | None = None  # taken from the jobs, but there was no room for its inputs
        self._unloadable: dict[tuple[str, ...], str] = {}

    # ---- handing out ------------------------------------------------------------------------------------------

    def is_over(self) -> bool:
        """Whether all jobs are done; closes the pool then."""
        if self._under_way or not self._exhausted:
            return False
        self.pool.close()
        return True

    def is_reading(self) -> bool:
        """Whether an actor is idle only because inputs have not been read yet."""
        return bool(self._waiting) and any(not actor.jobs for actor in self.pool.actors if actor.is_up)

    def refs(self) -> list[ray.ObjectRef]:
        """The refs to wait for: actors that start, and the job that each actor runs."""
        refs = [actor.next_ref for actor in self.pool.actors]
        return [ref for ref in refs if ref is not None]

    def assign(self) -> None:
        """Prefetches inputs of as many jobs as there is room for, and assigns jobs whose inputs have been read."""
        self.pool.start_missing()
        self._take_in()
        depth = QUEUE if self._expected > 2 * len(self.pool.actors) else 1  # towards the end no job queues
        for queued in range(depth):
            for actor in [one for one in self.pool.actors if one.is_up and len(one.jobs) == queued]:
                entry = self._next_for(actor)
                if entry is None:  # nothing has been read, for the other actors either
                    return
                self._hand_out(actor, entry)

    def _take_in(self) -> None:
        ahead = QUEUE * (len(self.pool.actors) + 1)
        while len(self._waiting) < ahead:
            if self._next is None:
                job = next(self._jobs, None)
                if job is None:
                    self._exhausted = True
                    return
                self._next = _Entry(job)
                self._under_way += 1
            if not self._prepare(self._next):
                return
            self._waiting.append(self._next)
            self._next = None

    def _prepare(self, entry: _Entry) -> bool:
        """Begins to read the data of a job; False if there is no room for its inputs."""
        inputs = entry.job.inputs
        if inputs is not None and not self._prefetcher.hold(inputs):
            return False
        entry.prepared = self._disk.submit(entry.job.prepared)
        return True

    def _next_for(self, actor: Actor) -> _Entry | None:
        for strict in (True, False):
            for entry in self._waiting:
                if strict and actor.node in entry.avoided:
                    continue
                if entry.prepared is None and not self._prepare(entry):  # a part of a job that was split
                    continue
                if self._is_prepared(entry):
                    self._waiting.remove(entry)
                    return entry
        return None

    def _is_prepared(self, entry: _Entry) -> bool:
        if entry.prepared is None or not entry.prepared.done():
            return False
        inputs = entry.job.inputs
        return inputs is None or self._prefetcher.is_ready(inputs)

    def _hand_out(self, actor: Actor, entry: _Entry) -> None:
        reason = self._unloadable.get(entry.job.loads)
        if reason is not None:
            self._fail(entry, reason)
            return
        inputs: Any = [] if entry.job.inputs is None else self._prefetcher.items(entry.job.inputs)
        assert entry.prepared is not None, "only prepared jobs are handed out"
        self.pool.submit(actor, entry.prepared.result(), inputs, entry)

    # ---- collecting -------------------------------------------------------------------------------------------

    def collect(self, ref: ray.ObjectRef) -> None:
        """Processes the result of one of :meth:`refs`, which is ready."""
        actor = next((actor for actor in self.pool.actors if actor.next_ref == ref), None)
        if actor is None:
            return
        if actor.is_up:
            self._collect(actor, ref)
        else:
            self.pool.set_ready(actor)

    def _collect(self, actor: Actor, ref: ray.ObjectRef) -> None:
        try:
            done: Done = ray.get(ref)
        except RayTaskError:  # raised by our own code, not by a codec: a fault of the program
            raise
        except RayError as error:
            self._failed(actor, WorkerLost(_host(actor), why_lost(error)))
            return
        if isinstance(done.result, NotLoaded):
            self._failed(actor, LoadFailed(_host(actor), done.result.reason))
            return
        entry: _Entry = self.pool.pop_finished(actor)
        self._finish(entry, Done(done.result, done.seconds, done.host, entry.tries))

    def check_time(self) -> None:
        """Stops actors whose job exceeds its time limit."""
        limit_s = self._limits.time_limit_s
        if limit_s is None:
            return
        now = time.monotonic()
        for actor in list(self.pool.actors):
            is_late = actor.jobs and actor.is_up and now - actor.began > limit_s
            if is_late and not ready_refs([actor.jobs[0][0]], 0):
                self._failed(actor, TimeLimitExceeded(_host(actor), limit_s))

    # ---- failures ---------------------------------------------------------------------------------------------

    def _failed(self, actor: Actor, failure: Failure) -> None:
        """Stops an actor whose first job failed, and carries out the decision of the failure's rule."""
        entry, *others = self.pool.stop(actor)
        entry.failures[type(failure)] += 1
        decision = failure.decide(entry.job, entry.failures[type(failure)])
        self._listener.say(decision.message)
        self._again(others)
        match decision.action:
            case Action.TRY_AGAIN:
                self._again([entry])
            case Action.TRY_ELSEWHERE:
                entry.avoided.add(actor.node)
                self.pool.avoid_node(actor.node)
                self._again([entry])
            case Action.SPLIT:
                self._split(entry)
            case Action.FAIL:
                self._fail(entry, decision.reason)
            case Action.FAIL_ALIKE:
                self.pool.avoid_node(actor.node)
                self._unloadable[entry.job.loads] = decision.reason
                self._fail(entry, decision.reason)

    def _again(self, entries: Sequence[_Entry]) -> None:
        self._waiting.extendleft(reversed(entries))

    def _split(self, entry: _Entry) -> None:
        self._release(entry)
        jobs = entry.job.split()
        split = _Split(entry.job, len(jobs))
        self._again([_Entry(job, split, part) for part, job in enumerate(jobs)])

    def _fail(self, entry: _Entry, reason: str) -> None:
        inputs = [] if entry.job.inputs is None else ray.get(self._prefetcher.items(entry.job.inputs))
        self._finish(entry, Done(entry.job.fail(inputs, reason), 0.0, "", entry.tries))

    # ---- results ----------------------------------------------------------------------------------------------

    def _finish(self, entry: _Entry, done: Done) -> None:
        self._release(entry)
        if entry.split is None:
            self._report(entry.job, done)
            return
        split = entry.split
        split.parts[entry.part] = done
        if len(split.parts) == split.n_parts:
            self._report(split.job, split.merged())

    def _report(self, job: Job, done: Done) -> None:
        self._under_way -= 1
        self._expected -= 1
        self._listener.done(job, done)

    def _release(self, entry: _Entry) -> None:
        if entry.job.inputs is not None:
            self._prefetcher.release(entry.job.inputs)


def _host(actor: Actor) -> str:
    return actor.host or actor.node
