"""The live table of a run on a terminal: a line for the total, and one for each of several codecs."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.progress.rate_and_eta import CodecProgress, TotalProgress, duration, rate_text

MAX_CODECS = 12
"""The most codecs that get a line; those under way are preferred."""

_BAR_WIDTH = 16
_WIDE = 100  # terminal columns from which the bars are shown


class LiveTable:
    """A table that is updated at the bottom of the terminal; a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress: RunProgress | None = None
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

    def show(self, progress: RunProgress) -> None:
        """Starts to show ``progress``."""
        self._progress = progress

    def print(self, text: str) -> None:
        """Prints a line above the table."""
        self._console.print(text, markup=False, highlight=False)

    def _render(self) -> RenderableType:
        if self._progress is None or not self._progress.parts():
            return Text("")
        return table(self._progress, time.monotonic(), bars=self._console.width >= _WIDE)


def table(progress: RunProgress, now: float, *, bars: bool = True) -> Table:
    """The table of a run at a moment of ``time.monotonic()``."""
    numbers = [Column(justify="right", no_wrap=True) for _ in range(4)]
    first = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    made = Table.grid(first, *([Column(width=_BAR_WIDTH)] if bars else []), *numbers, padding=(0, 1), expand=True)
    _add(made, progress.title, progress.total(), now, bars=bars, style="bold")
    parts = progress.parts()
    shown = chosen(parts)
    for part in shown:
        _add(made, f"  {part.title}", part, now, bars=bars, style="" if part.under_way else "dim")
    if len(shown) < len(parts):
        made.add_row(Text(f"  and {len(parts) - len(shown)} more codecs", style="dim"))
    return made


def _add(made: Table, title: str, what: CodecProgress | TotalProgress, now: float, *, bars: bool, style: str) -> None:
    bar = [ProgressBar(total=max(what.total, 1), completed=what.done)] if bars else []
    failed = Text(f"{what.failed:,} failed", style="red") if what.failed else ""
    counts = Text(f"{what.done:,}/{what.total:,}", style=style)
    made.add_row(Text(title, style=style), *bar, counts, failed, Text(_rate(what, now), style=style), _left(what, now))


def _rate(what: CodecProgress | TotalProgress, now: float) -> str:
    rate = what.rate(now)
    return "" if rate is None else rate_text(rate)


def _left(what: CodecProgress | TotalProgress, now: float) -> str:
    if what.done >= what.total:
        return (
            f"took {duration(what.seconds(now))}"
            if isinstance(what, CodecProgress) and what.ended is not None
            else "done"
        )
    if isinstance(what, CodecProgress) and not what.under_way:
        return "waiting"
    seconds = what.seconds_left(now)
    return "? left" if seconds is None else f"{duration(seconds)} left"


def chosen(parts: list[CodecProgress], limit: int = MAX_CODECS) -> list[CodecProgress]:
    """At most ``limit`` codecs: those under way, then those that wait, then those that ended last; in their order."""
    ended = sorted((part for part in parts if part.ended is not None), key=lambda part: -(part.ended or 0.0))
    waiting = [part for part in parts if part.started is None and part.done < part.total]
    found = [part for part in parts if part.started is None and part.done >= part.total]
    under_way = [part for part in parts if part.under_way]
    kept = {id(part) for part in [*under_way, *waiting, *ended, *found][:limit]}
    return [part for part in parts if id(part) in kept]
