"""How many threads a codec uses at once: measured while it encodes and decodes, whatever its settings say."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TASKS = Path("/proc/self/task")
_MOST_LOOKED_AT = 40  # calls in which single threads are looked at: some 2 ms a call at most
_ENDED = -1  # in place of a thread's number
_BUSY = 0.25
"""Share of the busiest thread's processor time from which another thread counts. Below it are threads that wait for
others, and those of Ray and Python."""
_SLACK = 0.25
"""What one thread more must do at least, on average, to count."""


@dataclass(frozen=True)
class _Time:
    """Seconds in which a thread ran, and in which it was ready to run and had no core."""

    ran: float = 0.0
    waited: float = 0.0

    def __add__(self, other: _Time) -> _Time:
        return _Time(self.ran + other.ran, self.waited + other.waited)

    def __sub__(self, other: _Time) -> _Time:
        return _Time(self.ran - other.ran, self.waited - other.waited)


class ThreadUse:
    """The calls of a codec: their time, and the time of each thread in them.

    The number of threads is the time in which busy threads ran, or were ready to and had no core, over wall time: two
    threads that take turns are one, and two that compete for one core are two. Of threads that end within a call, and
    of programs, the system tells the processor time alone; on a busy machine that may be too low. Without the times of
    single threads (not Linux) only processor time over wall time counts.

    >>> use = ThreadUse()
    >>> with use.call():
    ...     total = sum(range(100_000))
    >>> use.threads()
    1
    """

    def __init__(self) -> None:
        self._calls = 0
        self._wall_s = 0.0
        self._cpu_s = 0.0
        self._looked_at_s = 0.0
        self._by_thread: defaultdict[int, _Time] = defaultdict(_Time)

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Measures what runs inside."""
        look = self._calls < _MOST_LOOKED_AT
        self._calls += 1
        before = _times_by_thread() if look else {}
        started, own, programs = time.perf_counter(), time.process_time(), _programs_cpu_s()
        try:
            yield
        finally:
            wall_s = time.perf_counter() - started
            own, programs = time.process_time() - own, _programs_cpu_s() - programs
            self._wall_s += wall_s
            self._cpu_s += own + programs
            if look:
                self._looked_at_s += wall_s
                self._add(before, own)

    def _add(self, before: dict[int, _Time], own: float) -> None:
        """Adds the time of each thread since ``before``; the rest of ``own``, the process's, is of those that ended."""
        spent = {thread: found - before.get(thread, _Time()) for thread, found in _times_by_thread().items()}
        if spent:
            spent[_ENDED] = _Time(max(own - sum(one.ran for one in spent.values()), 0.0))
        for thread, found in spent.items():
            self._by_thread[thread] += found

    def threads(self) -> int:
        """How many threads the calls so far have used at once, 1 or more."""
        times = [one for one in self._by_thread.values() if one.ran > 0]
        most = max((one.ran for one in times), default=0.0)
        busy = [one for one in times if one.ran >= _BUSY * most]
        ready = sum(one.ran + one.waited for one in busy)
        return max(1, min(len(busy), _at_once(ready, self._looked_at_s)), _at_once(self._cpu_s, self._wall_s))


def _at_once(spent_s: float, wall_s: float) -> int:
    return math.ceil(spent_s / wall_s - _SLACK) if wall_s else 0


def _programs_cpu_s() -> float:
    """Seconds of processor time of programs that this process started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _times_by_thread() -> dict[int, _Time]:
    """The time of each thread of this process; empty where the system does not tell."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(_TASKS):
            with contextlib.suppress(OSError):  # it ended
                ran = time.clock_gettime(~int(name) << 3 | 6)  # MAKE_THREAD_CPUCLOCK of Linux
                found[int(name)] = _Time(ran, _waited_s(name))
    return found


def _waited_s(thread: str) -> float:
    """Seconds in which a thread was ready to run and had no core; 0 where the kernel does not count them."""
    try:
        return int((_TASKS / thread / "schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
