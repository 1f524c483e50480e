"""Waits for results of Ray: the one place that calls ``ray.wait``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

import ray

from uqdm.interrupts import interrupts_held, raise_if_interrupted

T = TypeVar("T")

TICK_SECONDS = 1.0
"""How often a caller that waits can do other things, such as show progress."""


def ready_refs(refs: Iterable[ray.ObjectRef], timeout_s: float = TICK_SECONDS) -> list[ray.ObjectRef]:
    """Those of ``refs`` that are ready; waits up to ``timeout_s`` for the first."""
    waiting = list(refs)
    if not waiting:
        return []
    ray.wait(waiting, timeout=timeout_s)
    ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
    return ready


def completed(
    tasks: Iterable[tuple[ray.ObjectRef, T]], at_once: int, tick: Callable[[], None] | None = None
) -> Generator[tuple[ray.ObjectRef, T], None, None]:
    """Yields tasks of Ray, each with its tag, in the order in which they complete.

    Args:
        tasks: starts a task each time it is advanced.
        at_once: how many tasks run at a time.
        tick: called about once a second.

    Tasks that still run when the iterator is closed are cancelled.
    """
    starting = iter(tasks)
    running: dict[ray.ObjectRef, T] = {}
    try:
        while True:
            raise_if_interrupted()
            running.update(itertools.islice(starting, at_once - len(running)))
            if not running:
                return
            with interrupts_held():  # Ray's own waiting is not interrupted
                ready = ready_refs(running)
            for ref in ready:
                yield ref, running.pop(ref)
            if tick is not None:
                tick()
    finally:
        for ref in running:
            ray.cancel(ref, force=True)
