"""The worker that a job runs in: its threads, its GPU, and objects that jobs have loaded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """State of one process that runs jobs with ``threads`` threads, one job at a time.

    ``holds_gpu`` says that Ray gave the process a GPU, or a part of one.
    """

    def __init__(self, threads: int = 1, *, holds_gpu: bool = False) -> None:
        self.threads = threads
        self.holds_gpu = holds_gpu
        self._kept: dict[Hashable, tuple[Any, bool]] = {}

    def keep(self, key: Hashable, make: Callable[[], T], *, alone: bool = False) -> T:
        """The object that ``make`` returned when it was first called for ``key``.

        Before an object is made with ``alone``, the one that was kept so before is dropped: one model at a time in
        memory.
        """
        if key not in self._kept:
            if alone:
                self._kept = {other: kept for other, kept in self._kept.items() if not kept[1]}
            self._kept[key] = (make(), alone)
            limit_threads(self.threads)
        kept: T = self._kept[key][0]
        return kept


def limit_threads(count: int = 1) -> None:
    """Has torch, if it is imported, and the libraries of linear algebra that are loaded use ``count`` threads.

    Variables of the environment come too late for libraries that are loaded already. Snakemake sets them to the cores
    of a rule, and two workers with two threads each wait for each other most of the time.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)
