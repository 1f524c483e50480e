"""``uqdm bench summarize``: means with intervals over the images of each setting."""

from __future__ import annotations

import typer

from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import RunFolder


def summarize(
    run: RunFolder,
) -> None:
    """Summarizes the rows of a run: writes summary.parquet and summary.csv, prints a short table."""
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.bench.analysis.summarize import summarize_run

    summarize_run(run)
    typer.echo(closing_message(run))
    note_unfilled(run)
