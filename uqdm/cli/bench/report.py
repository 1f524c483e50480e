"""``uqdm bench report``: the page of a summarized and plotted run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import RunFolder


def report(
    run: RunFolder,
    out: Annotated[Path | None, typer.Option(help="File to write [report.html in the run]", dir_okay=False)] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder of its plots [plots in the run]", file_okay=False)] = None,
) -> None:
    """Writes report.html of a run: tables, plots, pictures, protocol and provenance.

    Pictures that are too many for one page lie in report_pictures beside it.
    """
    from uqdm.bench.report import save_report
    from uqdm.output import check_output, is_html

    if out is not None:
        check_output(out, is_html, force=None)
    typer.echo(save_report(run, out, plots))
    note_unfilled(run)
