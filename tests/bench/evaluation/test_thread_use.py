"""Guards the column of threads: what a codec uses is counted, whatever it says and however busy the machine is."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from uqdm.bench.evaluation import thread_use
from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.evaluation.thread_use import ThreadUse
from uqdm.bench.execute.actors import ActorProcess
from uqdm.codec import Codec

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the times of single threads")
BLOCK = bytes(2**22)


def work(times: int = 12) -> None:
    """Works on one core without Python's lock."""
    for _ in range(times):
        hashlib.sha256(BLOCK).digest()


def work_until(end: float) -> None:
    """Works on one core until a time of ``time.perf_counter``."""
    while time.perf_counter() < end:
        hashlib.sha256(BLOCK[: 2**18]).digest()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Three threads that stay."""
    with ThreadPoolExecutor(3) as executor:
        for waiting in [executor.submit(time.sleep, 0.05) for _ in range(3)]:
            waiting.result()
        yield executor


def threads_of(*calls: Callable[[], object]) -> int:
    use = ThreadUse()
    for call in calls:
        with use.call():
            call()
    return use.threads()


def test_work_of_the_calling_thread_is_one() -> None:
    assert threads_of(work, work) == 1
    assert ThreadUse().threads() == 1


@linux
def test_threads_that_work_at_once_are_counted(pool: ThreadPoolExecutor) -> None:
    """All three work for the same time: of threads with equal work, one may end long before the others."""

    def at_once() -> None:
        list(pool.map(work_until, [time.perf_counter() + 0.5] * 3))

    assert threads_of(at_once) == 3


@linux
def test_threads_that_take_turns_are_one(pool: ThreadPoolExecutor) -> None:
    def in_turn() -> None:
        for _ in range(4):
            work()
            pool.submit(work).result()

    assert threads_of(in_turn, in_turn) == 1


@linux
def test_one_thread_that_works_while_its_caller_waits_is_one(pool: ThreadPoolExecutor) -> None:
    assert threads_of(lambda: pool.submit(work, 30).result()) == 1
    with ThreadPoolExecutor(1) as ends:
        assert threads_of(lambda: ends.submit(work, 30).result()) == 1


@linux
def test_work_outside_of_calls_does_not_count(pool: ThreadPoolExecutor) -> None:
    use = ThreadUse()
    with use.call():
        work()
    list(pool.map(work, [24] * 3))
    with use.call():
        work()
    assert use.threads() == 1


def test_a_program_of_one_thread_is_one() -> None:
    program = [sys.executable, "-c", "import hashlib; [hashlib.sha256(bytes(2**22)) for _ in range(60)]"]
    assert threads_of(lambda: subprocess.run(program, check=True)) == 1


def test_processor_time_over_wall_time_counts_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program with four busy threads: 4 seconds of processor time in a second of wall time."""
    programs, clock = iter([0.0, 4.0]), iter([0.0, 1.0])
    monkeypatch.setattr(thread_use, "_programs_cpu_s", lambda: next(programs))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert threads_of(lambda: None) == 4


def test_many_calls_are_not_slowed_by_looking_at_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(thread_use, "_times_by_thread", lambda: looks.append(1) or {})
    threads_of(*[lambda: None] * 1000)
    assert len(looks) == 2 * thread_use._MOST_LOOKED_AT


class Threaded(Codec):
    """Stores the pixels of images of 8 x 8, on as many threads as it is told."""

    name = "threaded"
    version = "1"

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(threads)
        for waiting in [self.pool.submit(time.sleep, 0.05) for _ in range(threads)]:
            waiting.result()

    def encode(self, images):
        list(self.pool.map(work, [12] * self.pool._max_workers))
        return [image.tobytes() for image in images]

    def decode(self, streams):
        return [np.frombuffer(stream, np.uint8).reshape(8, 8, 3) for stream in streams]


@linux
@pytest.mark.parametrize("threads", [1, 2])
def test_a_measured_codec_has_the_threads_that_it_used(threads: int) -> None:
    codec = Threaded(threads)
    measured = measure_images(codec, codec, [np.zeros((8, 8, 3), np.uint8)] * 2)
    assert [row["status"] for row in measured.rows] == ["ok"] * 2
    assert measured.threads == threads


def test_a_worker_limits_openmp_whatever_its_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow engine sets it to the cores of the whole job, of which a worker has one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    ActorProcess(1, holds_gpu=False)
    assert os.environ["OMP_NUM_THREADS"] == "1"
