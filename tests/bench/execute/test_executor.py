"""Groups of jobs run on Ray, for any kind of job; here the jobs square numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pytest
import ray

from uqdm.bench.execute.executor import Executor
from uqdm.bench.execute.job import Done, NotLoaded
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.ray_session import ray_session
from uqdm.bench.execute.scheduler import Group
from uqdm.bench.execute.worker import Worker

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file

CRASHES = 13
HANGS = 17


@dataclass(frozen=True)
class SquareJob:
    """Squares the numbers of a range; two of them crash the worker, or never end."""

    inputs: range
    loads: tuple[str, ...] = ("squares",)
    item: str = "number"

    @property
    def label(self) -> str:
        return f"squares of {self.inputs}"

    @property
    def n_items(self) -> int:
        return len(self.inputs)

    def prepared(self) -> Self:
        return self

    def run(self, worker: Worker, inputs: Sequence[np.ndarray]) -> list[int | str] | NotLoaded:
        if self.loads == ("nothing",):
            return NotLoaded("there is nothing to load")
        if CRASHES in inputs:
            os._exit(1)
        while HANGS in inputs:
            pass
        return [int(number) ** 2 for number in inputs]

    def split(self) -> list[Self]:
        return [replace(self, inputs=range(index, index + 1)) for index in self.inputs]

    def merge(self, results: Sequence[list[int | str]]) -> list[int | str]:
        return [one for result in results for one in result]

    def fail(self, inputs: Sequence[np.ndarray], reason: str) -> list[int | str]:
        return [f"{int(number)}: {reason}" for number in inputs]


class Results:
    """Collects the results of jobs, and the messages."""

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}
        self.tries: dict[int, int] = {}
        self.messages: list[str] = []

    def done(self, job: SquareJob, done: Done) -> None:
        self.found[job.inputs.start] = done.result
        self.tries[job.inputs.start] = done.tries

    def tick(self) -> None:
        pass

    def say(self, text: str) -> None:
        self.messages.append(text)


def run(*groups: Group, time_limit_s: float | None = None) -> Results:
    results = Results()
    with ray_session() as resources:
        limits = WorkerLimits(time_limit_s=time_limit_s)
        Executor(resources, lambda indices: [np.array(index) for index in indices], results, limits).run(groups)
    return results


@pytest.mark.usefixtures("ray_on_two_cores")
@pytest.mark.parametrize(("starts", "expected"), [([], 3), ([0, 4], 7), ([0, 2, 4], 1)])
def test_a_group_ends_with_its_jobs_for_any_expected_number(starts: list[int], expected: int) -> None:
    results = run(Group(SquareJob, (SquareJob(range(start, start + 2)) for start in starts), expected))
    assert results.found == {start: [start**2, (start + 1) ** 2] for start in starts}
    assert not results.messages


@pytest.mark.usefixtures("ray_on_two_cores")
def test_items_that_crash_or_hang_do_not_affect_others() -> None:
    jobs = [SquareJob(range(13, 14)), SquareJob(range(16, 18)), SquareJob(range(20, 22))]
    results = run(Group(SquareJob, jobs, 3), time_limit_s=3)  # on a busy machine even a crash can take a second
    (crashed,) = results.found[13]
    assert crashed.startswith("13: worker lost 3 times on this number (crash, kill or out of memory): ")
    assert results.found[16] == [256, "17: took more than the time limit of 3 s, 2 times"]
    assert results.found[20] == [400, 441]
    assert results.tries == {13: 4, 16: 3, 20: 1}


@pytest.mark.usefixtures("ray_on_two_cores")
def test_jobs_that_no_worker_can_load_fail_without_affecting_others() -> None:
    absent = [SquareJob(range(start, start + 1), ("nothing",)) for start in range(3)]
    results = run(Group(SquareJob, absent, 3), Group(SquareJob, [SquareJob(range(6, 7))], 1))
    expected: dict[int, list[int | str]] = {start: [f"{start}: there is nothing to load"] for start in range(3)}
    assert results.found == expected | {6: [36]}
    assert 3 <= len(results.messages) <= 7  # the first job with three tries ends the others
