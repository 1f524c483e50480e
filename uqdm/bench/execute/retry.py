"""The rules for jobs that failed: retry, split, or give up.

Each kind of failure is a class whose ``decide`` is its rule. A new rule is a change of ``decide``, or
another class; the scheduler calls it and follows the :class:`Decision`. In all cases the actor that
the job failed in is stopped, and jobs that waited there go to others: they are not at fault.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

from uqdm.bench.execute.job import Job

LOSSES = 3
"""Workers that a job may lose before it is split, and that one of a single item may lose before it fails."""
TIMEOUTS = 2
"""Time limits that a job of a single item may exceed before it fails. Others are split at once."""
LOADS = 3
"""How often the same thing may fail to load, each time in another worker, before its jobs fail."""


class Action(enum.Enum):
    """The scheduler's action for a job that failed."""

    TRY_AGAIN = enum.auto()
    """Before all others, in any worker."""
    TRY_ELSEWHERE = enum.auto()
    """The same; this node is avoided while there are others, by the job and by new actors."""
    SPLIT = enum.auto()
    """Each of its items becomes a job of its own."""
    FAIL = enum.auto()
    """Its result is what :meth:`~uqdm.bench.execute.job.Job.fail` returns."""
    FAIL_ALIKE = enum.auto()
    """The same, now and for all later jobs of the group that load the same; new actors avoid this node."""


@dataclass(frozen=True)
class Decision:
    """The action, a message for the user, and the reason in the results of a job that is given up."""

    action: Action
    message: str
    reason: str = ""


class Failure(Protocol):
    """One failure of a job."""

    def decide(self, job: Job, count: int) -> Decision:
        """Decides about ``job``, which has failed ``count`` times in this way, this time included."""


@dataclass(frozen=True)
class WorkerLost:
    """The worker died while it ran the job, or its node was lost. ``why`` has the known reason."""

    host: str
    why: str

    def decide(self, job: Job, count: int) -> Decision:
        """Tries again, then finds the item at fault, then gives that item up."""
        message = f"WORKER LOST on {self.host} at {job.label}, loss {count} of {LOSSES}: {self.why}"
        if count < LOSSES:
            return Decision(Action.TRY_AGAIN, message)
        if job.n_items > 1:
            return Decision(Action.SPLIT, message)
        reason = f"worker lost {LOSSES} times on this {job.item} (crash, kill or out of memory): {self.why}"
        return Decision(Action.FAIL, message, reason)


@dataclass(frozen=True)
class TimeLimitExceeded:
    """The job exceeded its time limit."""

    host: str
    limit_s: float

    def decide(self, job: Job, count: int) -> Decision:
        """Splits the job at once; an item alone is tried again, then given up."""
        limit = f"{self.limit_s:g} s"
        message = f"TIME LIMIT: {job.label} took more than {limit} on {self.host}"
        if job.n_items > 1:
            return Decision(Action.SPLIT, message)
        if count < TIMEOUTS:
            return Decision(Action.TRY_AGAIN, message)
        reason = f"took more than the time limit of {limit}, {count} times"
        return Decision(Action.FAIL, message, reason)


@dataclass(frozen=True)
class LoadFailed:
    """The codec or model of the job could not be loaded in this worker."""

    host: str
    reason: str

    def decide(self, job: Job, count: int) -> Decision:
        """Tries on other nodes, then gives up all jobs that load the same."""
        loads = ":".join(job.loads)
        message = f"NOT LOADED on {self.host}: {loads}, try {count} of {LOADS}: {self.reason}"
        if count < LOADS:
            return Decision(Action.TRY_ELSEWHERE, message)
        return Decision(Action.FAIL_ALIKE, message, self.reason)
