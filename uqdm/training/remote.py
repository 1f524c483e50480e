"""Training jobs in Ray workers: absolute paths, callbacks across processes, and the cause of a failure."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ray.util.queue import Empty, Queue

from uqdm.model.zoo import absolute_name
from uqdm.paths import absolute_text, split_path
from uqdm.training.job import TrainingCallbacks, TrainingJob


def absolute(job: TrainingJob) -> TrainingJob:
    """The job with paths that hold in any working directory."""
    data, config = job.config.data, job.config
    kind, _, argument = (data.source or "").partition(":")
    if argument:
        path, rest = split_path(argument)
        key = f"#{rest}" if rest else ""
        data = dataclasses.replace(data, source=f"{kind}:{absolute_text(path)}{key}")
    init = absolute_name(config.init) if config.init else config.init
    return dataclasses.replace(job, config=dataclasses.replace(config, data=data, init=init), out=job.out.absolute())


def cause(error: BaseException) -> BaseException:
    """The first error behind those that Ray wraps around it."""
    failures = getattr(error, "worker_failures", None)
    if failures:
        return cause(next(iter(failures.values())))
    inner = getattr(error, "cause", None) or error.__cause__
    return cause(inner) if isinstance(inner, BaseException) and inner is not error else error


def forwarding(messages: Queue) -> TrainingCallbacks:
    """TrainingCallbacks of a worker, which :func:`passing_on` calls in the process that started it."""
    return TrainingCallbacks(
        lambda progress: messages.put(("progress", (progress,))),
        lambda iteration, result: messages.put(("validated", (iteration, result))),
        lambda iteration, part: messages.put(("resumed", (iteration, part))),
    )


@contextmanager
def passing_on(messages: Queue, callbacks: TrainingCallbacks) -> Iterator[None]:
    """Calls back in this process what the first worker reports, while the block runs."""
    done = threading.Event()

    def pass_on() -> None:
        while not (done.is_set() and messages.empty()):
            try:
                name, arguments = messages.get(timeout=0.2)
            except Empty:
                continue
            getattr(callbacks, name)(*arguments)

    thread = threading.Thread(target=pass_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=10)
