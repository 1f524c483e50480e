"""The live display of a run on a terminal: the whole, and a line for each codec that there is room for."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from uqdm.bench.progress.progress import Progress
from uqdm.bench.progress.rate_and_eta import Part, Whole, duration, rate_text

MAX_CODECS = 12
"""Codecs that get a line; those that are not under way make way for those that are."""

_BAR_WIDTH = 16
_WIDE = 100  # columns of a terminal from which there is room for the bars


class LiveTable:
    """A table that is kept up to date at the bottom of the terminal; a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress: Progress | None = None
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Shows ``progress`` from now on."""
        self._progress = progress

    def print(self, text: str) -> None:
        """Prints a line above the table."""
        self._console.print(text, markup=False, highlight=False)

    def _render(self) -> RenderableType:
        if self._progress is None or not self._progress.parts():
            return Text("")
        return table(self._progress, time.monotonic(), bars=self._console.width >= _WIDE)


def table(progress: Progress, now: float, *, bars: bool = True) -> Table:
    """The table of a run at a moment of ``time.monotonic()``."""
    numbers = [Column(justify="right", no_wrap=True) for _ in range(4)]
    first = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    made = Table.grid(first, *([Column(width=_BAR_WIDTH)] if bars else []), *numbers, padding=(0, 1), expand=True)
    _add(made, progress.title, progress.whole(), now, bars=bars, style="bold")
    parts = progress.parts()
    shown = chosen(parts)
    for part in shown:
        _add(made, f"  {part.title}", part, now, bars=bars, style="" if part.under_way else "dim")
    if len(shown) < len(parts):
        made.add_row(Text(f"  and {len(parts) - len(shown)} more codecs", style="dim"))
    return made


def _add(made: Table, title: str, what: Part | Whole, now: float, *, bars: bool, style: str) -> None:
    bar = [ProgressBar(total=max(what.total, 1), completed=what.done)] if bars else []
    failed = Text(f"{what.failed:,} failed", style="red") if what.failed else ""
    counts = Text(f"{what.done:,}/{what.total:,}", style=style)
    made.add_row(Text(title, style=style), *bar, counts, failed, Text(_rate(what, now), style=style), _left(what, now))


def _rate(what: Part | Whole, now: float) -> str:
    rate = what.rate(now)
    return "" if rate is None else rate_text(rate)


def _left(what: Part | Whole, now: float) -> str:
    if what.done >= what.total:
        return f"took {duration(what.seconds(now))}" if isinstance(what, Part) and what.ended is not None else "done"
    if isinstance(what, Part) and not what.under_way:
        return "waits"
    seconds = what.seconds_left(now)
    return "? left" if seconds is None else f"{duration(seconds)} left"


def chosen(parts: list[Part], limit: int = MAX_CODECS) -> list[Part]:
    """At most ``limit`` codecs, in their order: those under way first, then those that wait, then the last ended."""
    ended = sorted((part for part in parts if part.ended is not None), key=lambda part: -(part.ended or 0.0))
    waiting = [part for part in parts if part.started is None and part.done < part.total]
    found = [part for part in parts if part.started is None and part.done >= part.total]
    under_way = [part for part in parts if part.under_way]
    kept = {id(part) for part in [*under_way, *waiting, *ended, *found][:limit]}
    return [part for part in parts if id(part) in kept]
