"""Runs groups of jobs on Ray: with bounded memory, retries, time limits, and isolation of items that fail."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import ray

from uqdm.bench.execute.actors import ActorPool, places
from uqdm.bench.execute.limits import ActorResources, WorkerLimits
from uqdm.bench.execute.prefetch import Load, Prefetcher
from uqdm.bench.execute.ray_session import Resources
from uqdm.bench.execute.scheduler import Group, Listener, Scheduler
from uqdm.bench.execute.waiting import TICK_SECONDS, ready_refs
from uqdm.interrupts import interrupts_held, raise_if_interrupted

OBJECT_STORE_SHARE = 1 / 3
"""Share of Ray's object store that inputs in use may fill."""
_POLL_SECONDS = 0.01
"""Time between two checks of inputs that are being read."""


@dataclass(frozen=True)
class _Lane:
    """Groups that run in sequence; resources ``reserved`` for another lane stay free."""

    groups: Iterator[Group]
    reserved: ActorResources | None = None


class Executor:
    """Runs groups of jobs. ``load`` reads their inputs; ``listener`` has the callbacks for events."""

    def __init__(
        self, resources: Resources, load: Load, listener: Listener, limits: WorkerLimits | None = None
    ) -> None:
        self._resources = resources
        self._load = load
        self._listener = listener
        self._limits = limits or WorkerLimits()
        self._prefetcher: Prefetcher
        self._disk: ThreadPoolExecutor

    def run(self, groups: Iterable[Group]) -> None:
        """Runs all jobs; returns when the last is done.

        Groups run in sequence, each with its own actors, so that one codec's model at a time is in memory. Groups
        that use GPUs, where there are any, run at the same time as the others.
        """
        lanes = self._lanes(groups)
        budget_bytes = int(self._resources.object_store_bytes * OBJECT_STORE_SHARE)
        self._prefetcher = Prefetcher(self._load, budget_bytes, self._limits.readers)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        running: list[Scheduler | None] = [None] * len(lanes)
        with interrupts_held():
            self._run(lanes, running)

    def _run(self, lanes: Sequence[_Lane], running: list[Scheduler | None]) -> None:
        try:
            while True:
                raise_if_interrupted()  # here every result that came in is stored
                for place, lane in enumerate(lanes):
                    running[place] = running[place] or self._begin(lane)
                live = [scheduler for scheduler in running if scheduler]
                if not live:
                    return
                self._turn(live)
                running = [None if one is None or one.is_over() else one for one in running]
        finally:
            for scheduler in running:
                if scheduler is not None:
                    scheduler.pool.close()
            self._prefetcher.close()
            self._disk.shutdown(wait=False, cancel_futures=True)

    def _lanes(self, groups: Iterable[Group]) -> list[_Lane]:
        """Groups on GPUs and the others in parallel, if cores are left when the GPUs are in use; else in sequence."""
        by_kind: dict[bool, list[Group]] = {True: [], False: []}
        for group in groups:
            by_kind[group.uses_gpu and self._resources.gpus > 0].append(group)
        with_gpu = self._limits.actor_resources(self._resources.gpus, uses_gpu=True)
        if by_kind[True] and by_kind[False] and places(ActorResources(), with_gpu):
            return [_Lane(iter(by_kind[True])), _Lane(iter(by_kind[False]), with_gpu)]
        return [_Lane(iter(by_kind[False] + by_kind[True]))]

    def _begin(self, lane: _Lane) -> Scheduler | None:
        group = next(lane.groups, None)
        if group is None:
            return None
        resources = self._limits.actor_resources(self._resources.gpus, uses_gpu=group.uses_gpu)
        most = min(group.n_jobs, group.most_workers or group.n_jobs)
        pool = ActorPool(group.job_class, resources, most, lane.reserved)
        return Scheduler(group, pool, self._prefetcher, self._disk, self._listener, self._limits)

    def _turn(self, live: Sequence[Scheduler]) -> None:
        owners: dict[ray.ObjectRef, Scheduler] = {}
        for scheduler in live:
            scheduler.assign()
            owners |= dict.fromkeys(scheduler.refs(), scheduler)
        is_reading = any(scheduler.is_reading() for scheduler in live)
        for ref in ready_refs(owners, _POLL_SECONDS if is_reading else TICK_SECONDS):
            owners[ref].collect(ref)
        if not owners:
            time.sleep(_POLL_SECONDS)
        for scheduler in live:
            scheduler.check_time()
        self._listener.tick()
