"""A codec in a process of its own, with a time limit for each request and a memory limit.

The process answers many requests. After a crash, or when it has been killed at a limit, the next request starts a new
one.
"""

from __future__ import annotations

import contextlib
import enum
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import psutil

from uqdm.bench.robustness.cells import Cell
from uqdm.bench.robustness.messages import Message, receive, send
from uqdm.errors import UserError

START_LIMIT_S = 600.0
"""Time limit for the start of a process with its model, and for requests of undamaged files."""
_LOOK_S = 0.05  # between two looks at the memory of a process that computes
_ENDS_ITSELF_AFTER = 4.0  # time limits; only if the process that watches it is gone


class Outcome(enum.StrEnum):
    """How decoding of a damaged file ends; also the columns of the table, in its order."""

    REFUSED = "refused"
    EARLIER = "earlier"
    SAME = "same"
    WRONG = "wrong"
    CRASHED = "crashed"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"


class RequestFailedError(UserError):
    """A request has no answer; ``outcome`` says how it ended, the message why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass(frozen=True)
class Limits:
    """Limits of a process: seconds for a request, and bytes of resident memory."""

    time_s: float = 20.0
    memory_bytes: float = 4 * 2**30


class CodecProcess:
    """A codec in a child process; its methods raise :class:`RequestFailedError`.

    >>> with CodecProcess("png", {}, Cell("here")) as process:
    ...     stream = process.encode(np.zeros((2, 3, 3), np.uint8))
    ...     [sha256] = process.decode([stream])
    >>> sha256[:16]
    '0ad243e60754f5a7'
    """

    def __init__(self, codec: str, parameters: Mapping[str, Any], cell: Cell, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.varying: frozenset[str] = frozenset()
        """Reconstructions that the codec declares as varying; known once it has started."""
        self.version = ""
        self.holds_model = False
        self._cell = cell
        self._setup = {"codec": codec, "parameters": dict(parameters), "threads": cell.threads, "onednn": cell.onednn}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def encode(self, image_uint8: np.ndarray) -> bytes:
        """The coded file of an image, uint8 [H, W, 3]."""
        _, (stream,) = self._ask("encode", [image_uint8.tobytes()], START_LIMIT_S, shape=image_uint8.shape)
        return stream

    def points(self, stream: bytes) -> list[int]:
        """The bytes of each point of an undamaged file."""
        return list(self._ask("points", [stream], START_LIMIT_S)[0]["n_bytes"])

    def decode(self, streams: Sequence[bytes]) -> list[str]:
        """The hash of the picture of each file, all decoded in one call of the codec."""
        return list(self._ask("decode", streams, self.limits.time_s * len(streams))[0]["sha256"])

    def decode_pictures(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The pictures of undamaged files, all decoded in one call of the codec."""
        answer, pixels = self._ask("decode", streams, START_LIMIT_S, pixels=True)
        return _arrays(answer, pixels)

    def reconstructions(self, stream: bytes) -> dict[tuple[str, str], np.ndarray]:
        """Every picture of an undamaged file, by the names of its point and reconstruction."""
        answer, pixels = self._ask("reconstructions", [stream], START_LIMIT_S)
        names = [(point, reconstruction) for point, reconstruction in answer["names"]]
        return dict(zip(names, _arrays(answer, pixels), strict=True))

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()

    def _ask(self, task: str, parts: Sequence[bytes], time_s: float, **more: Any) -> Message:
        process = self._process or self._start()
        request = {"task": task, "ends_after_s": _ENDS_ITSELF_AFTER * time_s, **more}
        answer, found = self._exchange(process, request, parts, time_s)
        if answer.get("out_of_memory"):
            raise RequestFailedError(Outcome.OUT_OF_MEMORY, "out of memory")
        if "error" in answer:
            raise RequestFailedError(Outcome.REFUSED, answer["error"])
        return answer, found

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "uqdm.bench.robustness.codec_child"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._cell.process_environment(),
        )
        facts, _ = self._exchange(self._process, self._setup, (), START_LIMIT_S)
        if "error" in facts:
            self.close()
            raise RequestFailedError(Outcome.REFUSED, facts["error"])
        self.varying = frozenset(facts["varying"])
        self.version = facts["version"]
        self.holds_model = facts["holds_model"]
        return self._process

    def _exchange(
        self, process: subprocess.Popen[bytes], content: Mapping[str, Any], parts: Sequence[bytes], time_s: float
    ) -> Message:
        """Sends a message and receives its answer. A process that fails or exceeds a limit is ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, content, parts)
            self._wait(process, time_s)
            return receive(process.stdout)
        except RequestFailedError:
            self.close()
            raise
        except (OSError, EOFError) as error:
            self.close()
            reason = f"the process ended with status {process.returncode}"
            raise RequestFailedError(Outcome.CRASHED, reason) from error

    def _wait(self, process: subprocess.Popen[bytes], time_s: float) -> None:
        """Waits for an answer, or the end of the process; raises :class:`RequestFailedError` at a limit."""
        assert process.stdout is not None
        deadline = time.monotonic() + time_s
        watched = select.poll()
        watched.register(process.stdout.fileno(), select.POLLIN)
        while not watched.poll(1e3 * _LOOK_S):
            used = resident_bytes(process.pid)
            if used > self.limits.memory_bytes:
                raise RequestFailedError(Outcome.OUT_OF_MEMORY, f"{used / 2**30:.1f} GiB of memory")
            if time.monotonic() > deadline:
                raise RequestFailedError(Outcome.HUNG, f"no answer within {time_s:g} s")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and of those below it; 0 if it is gone."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return sum(_resident(one) for one in [process, *process.children(recursive=True)])
    return 0


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _arrays(answer: Mapping[str, Any], pixels: Sequence[bytes]) -> list[np.ndarray]:
    shapes = answer["shapes"]
    return [np.frombuffer(data, np.uint8).reshape(shape) for data, shape in zip(pixels, shapes, strict=True)]
