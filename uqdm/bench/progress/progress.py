"""Progress of an evaluation or a scoring, in total and of each codec.

It goes to a terminal (a live table), to a log file (plain lines) and to ``status.json`` in the run's folder, which
:mod:`uqdm.bench.progress.status` reads in other processes, also after the run died.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Protocol, TextIO

from uqdm.bench.progress.rate_and_eta import IMAGES, CodecProgress, TotalProgress, duration, rate_text, speed
from uqdm.bench.progress.slowest_shards import ShardTiming, SlowestShards
from uqdm.errors import message_of
from uqdm.files import write_bytes
from uqdm.interrupts import Interrupted
from uqdm.text import printable

LINE_SECONDS = 4.0
"""Minimum time between two progress lines; it is longer in long runs."""

PARTS_SECONDS = 60.0
"""Minimum time between two listings of all codecs under way."""

STATUS_SECONDS = 2.0
"""Minimum time between two updates of the status file, except when the state changes."""

SLOW_RUN_SECONDS = 60.0
"""Runs that take longer list their slowest shards."""

STATUS_FORMAT = 1
RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"

_MESSAGES = 20
_REASON_LENGTH = 500


class Display(Protocol):
    """A live display of progress on a terminal."""

    def print(self, text: str) -> None:
        """Prints a line above the live display."""


class RunProgress:
    """Counts the measurements (image x setting) of each codec and reports them; ``log`` gets all lines as well.

    Any number of codecs may be under way at once. Nothing is written to ``status_path`` before :meth:`plan`, since
    another process may hold the run's folder until then.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        log: TextIO | None = None,
        display: Display | None = None,
        status_path: Path | None = None,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._log = log
        self._display = display
        self._status_path = status_path
        self._messages: deque[str] = deque(maxlen=_MESSAGES)
        self.plan("")

    def plan(self, title: str) -> None:
        """Begins an evaluation or scoring of this title, in a folder that is locked by now; the log is emptied."""
        self.title = title
        self._parts: dict[str, CodecProgress] = {}
        self.slowest = SlowestShards()
        self._planned = self._shown = self._shown_parts = time.monotonic()
        self._stated = -STATUS_SECONDS
        self._started = _now()
        if title:
            self._begin_log()
            self._state(RUNNING)

    def _begin_log(self) -> None:
        if self._log is not None:
            with contextlib.suppress(OSError):  # a terminal or a pipe
                self._log.seek(0)
                self._log.truncate()

    def add(self, name: str, title: str, total: int, stored: int, unit: str = IMAGES) -> None:
        """Adds a codec with ``total`` measurements, of which ``stored`` were found stored; ``unit`` names them."""
        self._parts[name] = CodecProgress(title, total, stored, stored, unit=unit)

    def begin(self, name: str, seconds_ago: float = 0.0) -> None:
        """Notes that work on codec ``name`` started so long ago; without this call, it starts with the first shard."""
        self._parts[name].begin(time.monotonic() - seconds_ago)

    def shard(self, timing: ShardTiming) -> None:
        """Notes the time of a finished shard, before :meth:`advance` counts it."""
        self.slowest.add(timing)
        if timing.codec in self._parts:
            self._parts[timing.codec].begin(time.monotonic() - timing.seconds)

    def advance(self, name: str, count: int, failed: int = 0) -> None:
        """Counts ``count`` more measurements of codec ``name`` as done, of which ``failed`` failed."""
        part = self._parts[name]
        now = time.monotonic()
        part.done += count
        part.failed += failed
        part.begin(now)  # without an earlier start, the first count gives the start, the next ones the rate
        if part.done >= part.total and part.ended is None:
            part.ended = now
            self._report_end(part)
        self.tick()

    def _report_end(self, part: CodecProgress) -> None:
        if part.seconds(part.ended or 0.0) >= LINE_SECONDS:
            speed = rate_text(part.rate(part.ended or 0.0))
            took = duration(part.seconds(part.ended or 0.0))
            self._print(f"{self.title}: {part.title} {part.counts()}, {speed}, took {took}", shown=True)

    def tick(self) -> None:
        """Prints a progress line and writes the status file, if each is due."""
        now = time.monotonic()
        if now - self._shown >= min(max(LINE_SECONDS, (now - self._planned) / 50), PARTS_SECONDS):
            self._shown = now
            self._print(self.line(), shown=True)
            if now - self._shown_parts >= PARTS_SECONDS:
                self._shown_parts = now
                self._show_parts(now)
        if now - self._stated >= STATUS_SECONDS:
            self._state(RUNNING)

    def _show_parts(self, now: float) -> None:
        under_way = [part for part in self.parts() if part.under_way]
        for part in under_way if len(under_way) > 1 else ():  # a single one is in the line of the total
            self._print(f"  {part.line(now)}", shown=True)

    def line(self) -> str:
        """The progress in one line: the total, and a codec under way."""
        now = time.monotonic()
        total = f"{self.title}: {self.total().line(now)}"
        under_way = [part for part in self.parts() if part.under_way]
        if not under_way:
            return total
        more = f" and {len(under_way) - 1} more" if len(under_way) > 1 else ""
        is_all = sum(part.unit == under_way[0].unit for part in self.parts()) == 1
        return f"{total}; now {under_way[0].title if is_all else under_way[0].line(now)}{more}"

    def parts(self) -> list[CodecProgress]:
        """The codecs in the order in which they were added."""
        return list(self._parts.values())

    def total(self) -> TotalProgress:
        """All codecs together."""
        return TotalProgress(self.parts(), self._planned)

    def say(self, text: str) -> None:
        """Prints a message."""
        text = printable(text)
        self._messages.append(text)
        self._print(text, shown=False)

    def say_slowest(self, count: int = 5) -> None:
        """Prints the slowest shards, if the run took long."""
        lines = self.slowest.lines(count)
        if lines and time.monotonic() - self._planned >= SLOW_RUN_SECONDS:
            self.say(f"{self.title}: the slowest shards:")
            for line in lines:
                self.say(f"  {line}")

    def end(self, error: BaseException | None = None) -> None:
        """Writes into the status file that the run finished, or was stopped by ``error``.

        The log gets the line that the command prints; an error that is a signal gets the text of what is kept.
        """
        if isinstance(error, Interrupted):
            error.kept = self.kept()
            self._log_end(error.line())
        elif error is not None:
            self._log_end(f"error: {message_of(error)}")
        if self.title:
            self._state(FINISHED if error is None else STOPPED, None if error is None else _reason(error))

    def _log_end(self, text: str) -> None:
        """Writes a line into the log alone; the command prints it on the terminal."""
        if self.title and self._log is not None:
            with contextlib.suppress(OSError):
                print(text, file=self._log, flush=True)

    def kept(self) -> str:
        """What is kept where the run ends now, and how to continue."""
        total = self.total()
        if not total.total:
            return "nothing is done yet; run the same command again"
        done = f"{total.done:,} of {total.total:,} {total.unit} are done and kept"
        return f"{done}; run the same command again to continue"

    def _print(self, text: str, *, shown: bool) -> None:
        """Prints a line; ``shown`` says that a live display shows its content anyway."""
        if self._log is not None:
            print(text, file=self._log, flush=True)
        if self._display is not None:
            if not shown:
                self._display.print(text)
            return
        with contextlib.suppress(BrokenPipeError):  # the reader of the output has ended; the run continues
            print(text, file=self._stream, flush=True)

    def _state(self, state: str, reason: str | None = None) -> None:
        self._stated = time.monotonic()
        if self._status_path is None:
            return
        content = self._content(state, reason)
        try:
            write_bytes(self._status_path, (json.dumps(content, indent=1) + "\n").encode())
        except OSError:  # a full disk, for example, does not stop the run; the final state is written all the same
            if state != RUNNING:
                _overwrite(self._status_path, {**content, "slowest_shards": [], "messages": []})

    def _content(self, state: str, reason: str | None) -> dict[str, Any]:
        now = time.monotonic()
        total = self.total()
        return {
            "format": STATUS_FORMAT,
            "what": self.title,
            "state": state,
            "reason": reason,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": self._started,
            "updated": _now(),
            "total": total.total,
            "done": total.done,
            "unit": total.unit,
            "found": total.found,
            "failed": total.failed,
            **speed(total.rate(now), total.seconds_left(now)),
            "codecs": {name: part.to_json(now) for name, part in self._parts.items()},
            "slowest_shards": self.slowest.to_json(),
            "messages": list(self._messages),
        }


def _overwrite(path: Path, content: dict[str, Any]) -> None:
    """Overwrites a file in place if the content fits into its size; otherwise leaves it as it is."""
    data = json.dumps(content).encode()
    with contextlib.suppress(OSError):
        if path.stat().st_size >= len(data):
            with path.open("r+b") as file:
                file.write(data)
                file.truncate()


def _reason(error: BaseException) -> str:
    if isinstance(error, Interrupted) and error.number != signal.SIGINT:
        return f"ended by {error}"
    if isinstance(error, KeyboardInterrupt | Interrupted):
        return "interrupted (Ctrl-C)"
    if isinstance(error, SystemExit):  # from the handler of this process or from that of Ray
        return str(error.args[0]) if error.args and isinstance(error.args[0], str) else "ended by SIGTERM"
    text = " ".join(str(error).split())
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:_REASON_LENGTH]


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
