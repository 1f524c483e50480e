"""Progress of an evaluation: a live bar on a terminal, a plain line every few seconds elsewhere, and a log file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_SECONDS = 4.0
"""Least time between two progress lines."""


@dataclass
class _Part:
    """Measurements of one codec: in all, done (of which found done), failed, and since when it is under way."""

    title: str
    total: int
    done: int
    found: int
    failed: int = 0
    started: float | None = None

    def line(self, now: float) -> str:
        seconds = now - self.started if self.started is not None else 0.0
        rate = (self.done - self.found) / seconds if seconds > 0 else 0.0
        left = _duration((self.total - self.done) / rate) if rate > 0 else "? s"
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.title}, {self.done:,}/{self.total:,} images x settings{failed}, {rate:,.1f}/s, {left} left"


class Progress:
    """Counts measurements (image x setting), codec by codec, and shows them; ``log`` gets the plain lines too.

    Time left is told for the codec under way: the next may be a hundred times as slow.
    """

    def __init__(self, stream: TextIO | None = None, log: TextIO | None = None, bar: Bar | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._log = log
        self._bar = bar
        self._task = bar.add_task("", total=None, visible=False) if bar is not None else None
        self._title = ""
        self._parts: dict[str, _Part] = {}
        self._current: str | None = None
        self._shown = time.monotonic()

    def plan(self, title: str) -> None:
        """Begins an evaluation of that title; the log begins anew, now that the folder is ours."""
        if self._log is not None:
            self._log.seek(0)
            self._log.truncate()
        self._title, self._parts, self._current = title, {}, None
        self._shown = time.monotonic()

    def add(self, name: str, title: str, total: int, stored: int) -> None:
        """Announces a codec: ``total`` measurements, of which ``stored`` were found done."""
        self._parts[name] = _Part(title, total, stored, stored)

    def begin(self, name: str) -> None:
        """Says that the codec ``name`` is under way now."""
        if name != self._current:
            self._current = name
            self._parts[name].started = self._parts[name].started or time.monotonic()

    def advance(self, name: str, count: int, failed: int = 0) -> None:
        """Says that ``count`` measurements of codec ``name`` are done, of which ``failed`` failed."""
        self.begin(name)
        self._parts[name].done += count
        self._parts[name].failed += failed
        self.tick()

    def tick(self) -> None:
        """Shows where things stand, if it is time to."""
        if self._bar is not None and self._task is not None:
            done, total = self._sums()
            self._bar.update(self._task, description=self.line(), completed=done, total=total, visible=True)
        if time.monotonic() - self._shown >= LINE_SECONDS:
            self._shown = time.monotonic()
            self._print(self.line(), to_stream=self._bar is None)

    def line(self) -> str:
        """Where things stand, in one line."""
        done, total = self._sums()
        part = f"{self._parts[self._current].line(time.monotonic())}; " if self._current is not None else ""
        return f"{self._title}: {part}{done:,}/{total:,} in all"

    def _sums(self) -> tuple[int, int]:
        parts = self._parts.values()
        return sum(part.done for part in parts), sum(part.total for part in parts)

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        self._print(text, to_stream=True)

    def _print(self, text: str, *, to_stream: bool) -> None:
        if self._log is not None:
            print(text, file=self._log, flush=True)
        if to_stream and self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        elif to_stream:
            print(text, file=self._stream, flush=True)


def _duration(seconds: float) -> str:
    """A duration as a person says it.

    >>> _duration(42), _duration(3700)
    ('42 s', '1 h 02 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextlib.contextmanager
def show_progress(log_path: Path | None = None) -> Iterator[Progress]:
    """A :class:`Progress` on stderr: live if that is a terminal, lines if not; ``log_path`` is written anew once
    work begins."""
    with contextlib.ExitStack() as stack:
        log = None
        if log_path is not None:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(log_path.open("a", encoding="utf-8"))
        bar = stack.enter_context(_bar()) if sys.stderr.isatty() else None
        yield Progress(log=log, bar=bar)


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), BarColumn(bar_width=20), TextColumn("{task.description}", markup=False))
    return Bar(*columns, console=Console(stderr=True), transient=True)
