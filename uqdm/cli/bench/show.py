"""``uqdm bench show``: what finished runs came to, without making anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    run: Annotated[
        list[Path] | None, typer.Argument(help="Folders of runs [every run in results/]", file_okay=False)
    ] = None,
) -> None:
    """Prints the short table of finished runs, and where their report, plots and rows are."""
    from uqdm.bench.results import read_summary, summary_path
    from uqdm.bench.tables import closing_message

    runs = run or [folder for folder in sorted(Path("results").glob("*")) if summary_path(folder).is_file()]
    if not runs:
        raise FileNotFoundError("no finished run in results/; make one with: snakemake --cores all")
    for folder in runs:
        read_summary(folder)  # raises, and names the remedy, where there is none
        typer.echo(closing_message(folder))
