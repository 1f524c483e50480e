"""Tasks of Ray are returned as they complete, and a bounded number runs at a time."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import ray

from uqdm.bench.execute.waiting import completed, ready_refs


@ray.remote
def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.mark.usefixtures("ray_on_two_cores")
def test_tasks_start_a_few_at_a_time_and_all_come_back() -> None:
    started: list[int] = []

    def tasks() -> Iterator[tuple[ray.ObjectRef, int]]:
        for number in range(5):
            started.append(number)
            yield wait.remote(0), number

    found = []
    for ref, number in completed(tasks(), 2):
        assert ray.get(ref) == 0
        found.append(number)
        assert len(started) <= len(found) + 2
    assert sorted(found) == started == list(range(5))


@pytest.mark.usefixtures("ray_on_two_cores")
def test_tasks_that_still_run_at_the_end_are_cancelled() -> None:
    refs = [wait.remote(seconds) for seconds in (0, 600)]
    with closing(completed(((ref, None) for ref in refs), 2)) as done:
        assert next(done) == (refs[0], None)
    with pytest.raises(ray.exceptions.RayError):
        ray.get(refs[1], timeout=60)


@pytest.mark.usefixtures("ray_on_two_cores")
def test_only_what_is_ready_is_returned() -> None:
    refs = [ray.put(0), wait.remote(600)]
    assert ready_refs(refs) == refs[:1]
    assert ready_refs([]) == []
    ray.cancel(refs[1], force=True)
