"""``uqdm bench grid``: pictures of codecs beside the original at equal rates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.bench.grid.options import GridOptions
from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.folding import show_text
from uqdm.cli.option_parameters import with_option_parameters


@with_option_parameters
def grid(
    run: Annotated[
        Path, typer.Argument(help="Folder of a summarized run", file_okay=False, autocompletion=completion.runs)
    ],
    options: GridOptions,
    out: Annotated[Path | None, typer.Option(help="Folder to write to [grid in the run]", file_okay=False)] = None,
) -> None:
    """Shows images, as the original and by every codec at equal rates, enlarged without smoothing: PNG, PDF and HTML.

    Under each picture are its rate and metrics. Where a codec has no picture near a rate, the reason is written.
    """
    from uqdm.bench.report.grid_page import save_grid

    saved = save_grid(run, options, out)
    show_text(saved.grid.caption)
    for note in saved.grid.notes:
        typer.echo(f"note: {note}", err=True)
    for path in saved.files:
        typer.echo(path)
    note_unfilled(run)
