"""``uqdm bench report``: one self-contained page of a summarized and plotted run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Option(help="Folder of the run, e.g. results/demo", file_okay=False)],
) -> None:
    """Writes report.html of a run: tables, plots, protocol and provenance in one file."""
    from uqdm.bench.report import save_report

    typer.echo(save_report(run))
