"""A child process of a worker that computes metrics, so that they add nothing to the time and memory of a codec.

``python -m uqdm.bench.evaluation.metric_process`` reads requests from standard input and writes answers to standard
output, both as pickles. The worker that started it is the other side. It ends when its standard input is closed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from uqdm.bench.checked_calls import scores
from uqdm.bench.metrics import all_metrics
from uqdm.text import error_line

Pair = tuple[np.ndarray, np.ndarray]
"""An original and its decoded picture, uint8 [H, W, 3]."""

_ENDS_WITHIN_S = 5.0


class MetricProcess:
    """Computes metrics of single images in a process of its own, which starts with the first request."""

    def __init__(self, metrics: Sequence[str]) -> None:
        self._metrics = tuple(metrics)
        self._process: subprocess.Popen[bytes] | None = None

    def scores(self, pairs: Sequence[Pair]) -> list[dict[str, float]]:
        """The metrics of each pair; all pictures have the same size.

        A metric that fails, or is not defined for such small images, is left out; if the process dies, all are.
        """
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump((self._metrics, pairs), process.stdin)
            process.stdin.flush()
            found: list[dict[str, float]] = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            self.close()  # the next pictures start a new process
            return [{} for _ in pairs]
        return found

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.communicate(timeout=_ENDS_WITHIN_S)
            return
        process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", __name__]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # the worker has one core, and waits meanwhile
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        return self._process


def _answer(names: Sequence[str], pairs: Sequence[Pair]) -> list[dict[str, float]]:
    found: list[dict[str, float]] = [{} for _ in pairs]
    side = min(pairs[0][0].shape[:2])
    for metric in all_metrics():
        if metric.name in names and side >= metric.smallest_side:
            for values, value in zip(found, scores(metric, pairs), strict=True):
                if isinstance(value, Exception):  # scoring computes it again, and writes the reason into the rows
                    print(f"metric {metric.name}: {error_line(value)}", file=sys.stderr)
                else:
                    values[metric.name] = value
    return found


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(_answer(*request), answers)
        answers.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as channel:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that output of a metric does not mix with the answers
        _serve(sys.stdin.buffer, channel)
