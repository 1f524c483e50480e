"""Dispatches a group of jobs to its crew: tries again, and takes apart what costs workers or time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from uqdm.bench.execute.actors import QUEUE, Crew, Member
from uqdm.bench.execute.job import Done, Job, NotLoaded
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.prefetch import Prefetcher
from uqdm.bench.execute.worker_loss import why_lost

N = TypeVar("N", bound="Needs")

LOSSES = 3
"""Workers that a shard may lose before its images are run one by one, and then an image before it has failed."""
TIMEOUTS = 2
"""Time limits that a single image may exceed before it has failed; a shard that exceeds one is taken apart at once."""
LOADS = 3
"""How often a codec may fail to load, each time in another worker, until its images have failed."""


@dataclass(frozen=True)
class Group:
    """Jobs that one crew does, ``n_jobs`` of them; they are made as they are needed."""

    jobs: Iterable[Job]
    n_jobs: int
    uses_gpu: bool = False


class Needs(Protocol):
    """What decides with whom a codec may share workers."""

    @property
    def holds_model(self) -> bool:
        """Whether a worker has to load a model for it."""

    @property
    def uses_gpu(self) -> bool:
        """Whether it computes on a GPU where there is one."""


def sharing_workers(codecs: Iterable[N]) -> list[list[N]]:
    """Plain codecs share workers, so that no core waits for the end of each; models and GPU codecs have their own."""
    plain, others = list[N](), list[list[N]]()
    for codec in codecs:
        if codec.holds_model or codec.uses_gpu:
            others.append([codec])
        else:
            plain.append(codec)
    return [plain, *others] if plain else others


class Listener(Protocol):
    """Told what happens."""

    def done(self, job: Any, done: Done) -> None:
        """A job is done; a job that was taken apart is told of once, as a whole."""

    def tick(self) -> None:
        """About a second has passed."""

    def say(self, text: str) -> None:
        """Something went wrong, and was dealt with."""


@dataclass
class _Split:
    """A job run image by image, since as a whole it lost its workers or its time."""

    job: Job
    n_parts: int
    parts: dict[int, Done] = field(default_factory=dict)

    def merged(self) -> Done:
        parts = [self.parts[index] for index in sorted(self.parts)]
        result = self.job.merge([part.result for part in parts])
        return Done(result, sum(part.seconds for part in parts), parts[-1].host, max(part.tries for part in parts))


@dataclass(eq=False)
class _Entry:
    """A job under way: what it has cost so far, and nodes that it had better not go to."""

    job: Job
    split: _Split | None = None
    part: int = 0
    """Its place in ``split``."""
    ready: Future[Job] | None = None
    """The job with what it needs from disk."""
    losses: int = 0
    timeouts: int = 0
    loads: int = 0
    avoid: set[str] = field(default_factory=set)

    @property
    def tries(self) -> int:
        return 1 + self.losses + self.timeouts + self.loads

    @property
    def n_items(self) -> int:
        return self.job.n_items

    def __str__(self) -> str:
        return self.job.label


class Dispatch:
    """One group of jobs, and the crew that does it."""

    def __init__(
        self,
        group: Group,
        crew: Crew,
        prefetcher: Prefetcher,
        disk: ThreadPoolExecutor,
        listener: Listener,
        limits: WorkerLimits,
    ) -> None:
        self.crew = crew
        self._jobs, self._expected = iter(group.jobs), group.n_jobs
        self._under_way, self._exhausted = 0, False
        self._prefetcher, self._disk, self._listener, self._limits = prefetcher, disk, listener, limits
        self._waiting = deque[_Entry]()
        self._held: _Entry | None = None  # taken from the jobs, but there was no room for its images
        self._unloadable: dict[tuple[str, ...], str] = {}

    # ---- giving out -------------------------------------------------------------------------------------------

    def is_over(self) -> bool:
        """Whether all is done; ends the crew then."""
        if self._under_way or not self._exhausted:
            return False
        self.crew.close()
        return True

    def is_reading(self) -> bool:
        """Whether a member could do more, had its images been read."""
        return bool(self._waiting) and any(not member.jobs for member in self.crew.members if member.is_up)

    def refs(self) -> list[ray.ObjectRef]:
        """What to wait for: answers of members that start, and the job that each one is doing."""
        members = self.crew.members
        return [member.jobs[0][0] if member.is_up else member.knock for member in members if _awaited(member)]

    def assign(self) -> None:
        """Takes jobs in, as far ahead as there is room, and gives members those whose images have been read."""
        self.crew.staff()
        self._take_in()
        depth = QUEUE if self._expected > 2 * len(self.crew.members) else 1  # towards the end nothing waits
        for queued in range(depth):
            for member in [one for one in self.crew.members if one.is_up and len(one.jobs) == queued]:
                entry = self._next_for(member)
                if entry is None:  # as for the others: nothing has been read
                    return
                self._give(member, entry)

    def _take_in(self) -> None:
        ahead = QUEUE * (len(self.crew.members) + 1)
        while len(self._waiting) < ahead:
            if self._held is None:
                job = next(self._jobs, None)
                if job is None:
                    self._exhausted = True
                    return
                self._held = _Entry(job)
                self._under_way += 1
            if not self._prepare(self._held):
                return
            self._waiting.append(self._held)
            self._held = None

    def _prepare(self, entry: _Entry) -> bool:
        """Begins to read what a job needs; False where there is no room for its images."""
        inputs = entry.job.inputs
        if inputs is not None and not self._prefetcher.hold(inputs):
            return False
        entry.ready = self._disk.submit(entry.job.prepared)
        return True

    def _next_for(self, member: Member) -> _Entry | None:
        for strict in (True, False):
            for entry in self._waiting:
                if strict and member.node in entry.avoid:
                    continue
                if entry.ready is None and not self._prepare(entry):  # a part of a job that was taken apart
                    continue
                if self._is_ready(entry):
                    self._waiting.remove(entry)
                    return entry
        return None

    def _is_ready(self, entry: _Entry) -> bool:
        if entry.ready is None or not entry.ready.done():
            return False
        inputs = entry.job.inputs
        return inputs is None or self._prefetcher.is_ready(inputs)

    def _give(self, member: Member, entry: _Entry) -> None:
        reason = self._unloadable.get(entry.job.loads)
        if reason is not None:
            self._fail(entry, reason)
            return
        inputs: Any = [] if entry.job.inputs is None else self._prefetcher.items(entry.job.inputs)
        assert entry.ready is not None, "only what is ready is given out"
        self.crew.give(member, entry.ready.result(), inputs, entry)

    # ---- taking back ------------------------------------------------------------------------------------------

    def collect(self, ref: ray.ObjectRef) -> None:
        """Takes in what is behind a reference that is ready."""
        for member in list(self.crew.members):
            if not member.is_up and member.knock == ref:
                self.crew.answered(member)
                return
            if member.jobs and member.jobs[0][0] == ref:
                self._collect(member, ref)
                return

    def _collect(self, member: Member, ref: ray.ObjectRef) -> None:
        try:
            done: Done = ray.get(ref)
        except RayTaskError:  # raised by our own code, not by a codec: a fault of the program
            raise
        except RayError as error:
            self._lost(member, error)
            return
        entry = self.crew.finished(member)
        if isinstance(done.result, NotLoaded):
            self._not_loaded(member, entry, done.result.reason)
            return
        self._finish(entry, Done(done.result, done.seconds, done.host, entry.tries))

    def check_time(self) -> None:
        """Ends members whose job has taken longer than it may."""
        limit_s = self._limits.time_limit_s
        if limit_s is None:
            return
        now = time.monotonic()
        for member in list(self.crew.members):
            if member.jobs and member.is_up and now - member.began > limit_s and not _has_come(member.jobs[0][0]):
                entry, *others = self.crew.dismiss(member)
                entry.timeouts += 1
                self._listener.say(f"TIME LIMIT: {entry} took more than {limit_s:g} s on {member.host}")
                self._again(others)
                if entry.n_items > 1 or entry.timeouts < TIMEOUTS:
                    self._retry(entry, apart=entry.n_items > 1)
                else:
                    self._fail(entry, f"took more than the time limit of {limit_s:g} s, {entry.timeouts} times")

    def _lost(self, member: Member, error: RayError) -> None:
        """A member died, or its node: the job that it was doing is tried again, those that waited are not to blame."""
        entry, *others = self.crew.dismiss(member)
        entry.losses += 1
        self._again(others)
        kind = why_lost(error)
        self._listener.say(f"WORKER LOST on {member.host} at {entry}, loss {entry.losses} of {LOSSES}: {kind}")
        if entry.losses < LOSSES:
            self._retry(entry, apart=False)
        elif entry.n_items > 1:
            entry.losses = 0
            self._retry(entry, apart=True)
        else:
            self._fail(entry, f"worker lost {LOSSES} times on this image (crash, kill or out of memory): {kind}")

    def _not_loaded(self, member: Member, entry: _Entry, reason: str) -> None:
        """A codec could not be made in a member: others try, and where there are others, it is not asked again."""
        entry.loads += 1
        entry.avoid.add(member.node)
        self._listener.say(
            f"NOT LOADED on {member.host}: {':'.join(entry.job.loads)}, try {entry.loads} of {LOADS}: {reason}"
        )
        self.crew.leave_out(member.node)
        self._again(self.crew.dismiss(member))
        if entry.loads < LOADS:
            self._again([entry])
        else:
            self._unloadable[entry.job.loads] = reason
            self._fail(entry, reason)

    def _retry(self, entry: _Entry, *, apart: bool) -> None:
        if not apart or entry.n_items == 1:
            self._again([entry])
            return
        self._release(entry)
        jobs = entry.job.split()
        split = _Split(entry.job, len(jobs))
        parts = [_Entry(job, split, part) for part, job in enumerate(jobs)]
        self._waiting.extendleft(reversed(parts))

    def _again(self, entries: Sequence[_Entry]) -> None:
        self._waiting.extendleft(reversed(entries))

    def _fail(self, entry: _Entry, reason: str) -> None:
        inputs = [] if entry.job.inputs is None else ray.get(self._prefetcher.items(entry.job.inputs))
        self._finish(entry, Done(entry.job.fail(inputs, reason), 0.0, "", entry.tries))

    def _finish(self, entry: _Entry, done: Done) -> None:
        self._release(entry)
        if entry.split is None:
            self._over(entry.job, done)
            return
        split = entry.split
        split.parts[entry.part] = done
        if len(split.parts) == split.n_parts:
            self._over(split.job, split.merged())

    def _over(self, job: Job, done: Done) -> None:
        self._under_way -= 1
        self._expected -= 1
        self._listener.done(job, done)

    def _release(self, entry: _Entry) -> None:
        if entry.job.inputs is not None:
            self._prefetcher.release(entry.job.inputs)


def _awaited(member: Member) -> bool:
    return bool(member.jobs) or not member.is_up


def _has_come(ref: ray.ObjectRef) -> bool:
    return bool(ray.wait([ref], timeout=0)[0])
