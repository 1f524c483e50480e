"""Fans jobs out over crews of Ray actors: bounded memory, retries, time limits, and the item at fault."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import ray

from uqdm.bench.execute.actors import Crew, places
from uqdm.bench.execute.limits import Post, WorkerLimits
from uqdm.bench.execute.prefetch import Load, Prefetcher
from uqdm.bench.execute.ray_session import Resources
from uqdm.bench.execute.scheduler import Dispatch, Group, Listener

_TICK_SECONDS = 1.0
OBJECT_STORE_SHARE = 1 / 3  # that inputs in use may fill


@dataclass(frozen=True)
class _Lane:
    """Groups that run one after the other, beside posts that another lane has."""

    groups: Iterator[Group]
    beside: Post | None = None


class Fanout:
    """Runs groups of jobs. ``load`` reads their inputs; ``listener`` is told what happens."""

    def __init__(
        self, resources: Resources, load: Load, listener: Listener, limits: WorkerLimits | None = None
    ) -> None:
        self._resources, self._load, self._listener = resources, load, listener
        self._limits = limits or WorkerLimits()
        self._prefetcher: Prefetcher
        self._disk: ThreadPoolExecutor

    def run(self, groups: Iterable[Group]) -> None:
        """Runs all jobs; returns when the last is done.

        Groups run one after the other, each with workers of its own, so that one codec's model at a time is in memory;
        those that use GPUs, where there are any, run beside the others.
        """
        lanes = self._lanes(groups)
        budget_bytes = int(self._resources.object_store_bytes * OBJECT_STORE_SHARE)
        self._prefetcher = Prefetcher(self._load, budget_bytes, self._limits.readers)
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="streams")
        running: list[Dispatch | None] = [None] * len(lanes)
        try:
            while True:
                for place, lane in enumerate(lanes):
                    running[place] = running[place] or self._begin(lane)
                live = [run for run in running if run]
                if not live:
                    return
                self._turn(live)
                running = [None if run is None or run.is_over() else run for run in running]
        finally:
            for run in running:
                if run is not None:
                    run.crew.close()
            self._prefetcher.close()
            self._disk.shutdown(wait=False, cancel_futures=True)

    def _lanes(self, groups: Iterable[Group]) -> list[_Lane]:
        """Groups on GPUs and others side by side, if cores are left beside the GPUs; else one after the other."""
        by_kind: dict[bool, list[Group]] = {True: [], False: []}
        for group in groups:
            by_kind[group.uses_gpu and self._resources.gpus > 0].append(group)
        gpu_post = self._limits.post(self._resources.gpus, uses_gpu=True)
        if by_kind[True] and by_kind[False] and places(Post(), gpu_post):
            return [_Lane(iter(by_kind[True])), _Lane(iter(by_kind[False]), gpu_post)]
        return [_Lane(iter(by_kind[False] + by_kind[True]))]

    def _begin(self, lane: _Lane) -> Dispatch | None:
        group = next(lane.groups, None)
        if group is None:
            return None
        post = self._limits.post(self._resources.gpus, uses_gpu=group.uses_gpu)
        crew = Crew(post, group.n_jobs, lane.beside)
        return Dispatch(group, crew, self._prefetcher, self._disk, self._listener, self._limits)

    def _turn(self, live: Sequence[Dispatch]) -> None:
        refs: dict[ray.ObjectRef, Dispatch] = {}
        for run in live:
            run.assign()
            refs |= dict.fromkeys(run.refs(), run)
        if refs:
            ray.wait(list(refs), timeout=_TICK_SECONDS if not any(run.is_reading() for run in live) else 0.01)
            ready, _ = ray.wait(list(refs), num_returns=len(refs), timeout=0)
            for ref in ready:
                refs[ref].collect(ref)
        else:
            time.sleep(0.01)
        for run in live:
            run.check_time()
        self._listener.tick()
