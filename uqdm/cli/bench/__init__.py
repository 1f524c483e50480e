"""Evaluates codecs on data sets; scores, summarizes, plots and reports the results."""

from __future__ import annotations

import sys

import typer

from uqdm.cli.bench._file_names import check_file_names
from uqdm.cli.lazy import lazy_group

SUBCOMMANDS = {
    "run": "uqdm.cli.bench.run:run",
    "evaluate": "uqdm.cli.bench.evaluate:evaluate",
    "score": "uqdm.cli.bench.score:score",
    "summarize": "uqdm.cli.bench.summarize:summarize",
    "bd": "uqdm.cli.bench.bd:bd",
    "compare": "uqdm.cli.bench.compare:compare",
    "plane": "uqdm.cli.bench.plane:plane",
    "published": "uqdm.cli.bench.published:published",
    "plot": "uqdm.cli.bench.plot:plot",
    "grid": "uqdm.cli.bench.grid:grid",
    "contest": "uqdm.cli.bench.contest:contest",
    "paper": "uqdm.cli.bench.paper:paper",
    "report": "uqdm.cli.bench.report:report",
    "channel": "uqdm.cli.bench.channel:channel",
    "status": "uqdm.cli.bench.status:status",
    "show": "uqdm.cli.bench.show:show",
    "extract": "uqdm.cli.bench.extract:extract",
    "export": "uqdm.cli.bench.export:export",
    "robustness": "uqdm.cli.bench.robustness:robustness",
    "import": "uqdm.cli.bench.import_points:import_points",
}

app = typer.Typer(cls=lazy_group(SUBCOMMANDS), no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def bench() -> None:
    """Evaluates codecs on data sets; scores, summarizes, plots and reports the results."""
    check_file_names(sys.argv[1:])
