"""``uqdm bench status``: whether a run is active, finished, stopped or dead, and its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.json_output import print_json

if TYPE_CHECKING:
    from uqdm.bench.progress.status import RunStatus

_WATCH_SECONDS = 2.0


def status(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of a run, or a folder of several, e.g. results", autocompletion=completion.runs),
    ] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object for each run, in a list")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Update repeatedly while a run is active")] = False,
) -> None:
    """Shows the state of a run, from any terminal or machine: done, rate, time left, failures, or how it died."""
    from uqdm.bench.progress.status import find_runs, report, run_status

    def look() -> list[RunStatus]:
        return [run_status(run) for run in find_runs(folder)]

    if as_json:
        _watch(look, lambda runs: print_json([run.to_json() for run in runs], indent=None), watch=watch)
    elif watch and sys.stdout.isatty():
        _watch_live(look, report)
    else:
        _watch(look, lambda runs: typer.echo("\n".join(report(runs))), watch=watch)


def _watch(look: Callable[[], list[RunStatus]], show: Callable[[list[RunStatus]], None], *, watch: bool) -> None:
    while True:
        runs = look()
        show(runs)
        if not watch or not any(run.under_way for run in runs):
            return
        time.sleep(_WATCH_SECONDS)


def _watch_live(look: Callable[[], list[RunStatus]], report: Callable[[Sequence[RunStatus]], list[str]]) -> None:
    """The text is updated in place."""
    from rich.live import Live
    from rich.text import Text

    with Live(Text(""), auto_refresh=False) as live:
        _watch(look, lambda runs: live.update(Text("\n".join(report(runs))), refresh=True), watch=True)
