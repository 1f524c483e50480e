"""``uqdm bench plot``: draws the plots of a summarized run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import PublishedChoice, RunFolder


def plot(
    run: RunFolder,
    only: Annotated[
        str | None, typer.Option(help="Name of one plot, e.g. rate_distortion [all]", autocompletion=completion.plots)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to [plots in the run]", file_okay=False)] = None,
    published: PublishedChoice = None,
) -> None:
    """Draws the plots of a run into its folder plots, or into another one; a plot with nothing to show is named."""
    from uqdm.bench.analysis.published_systems import check_choice
    from uqdm.bench.plots import all_plots, broken_plots, find_plot, save_plot

    check_choice(published)

    def say(text: str) -> None:
        typer.echo(text, err=True)

    for broken in broken_plots() if only is None else ():
        typer.echo(f"SKIPPED {broken}", err=True)
    for one in all_plots() if only is None else [find_plot(only)]:
        for path in save_plot(one, run, out, say, published):
            typer.echo(path)
    note_unfilled(run)
