"""``uqdm bench export``: the rate-distortion points of a run for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.folding import show_text


class Form(StrEnum):
    """The forms of an export."""

    CSV = "csv"
    COMPRESSAI = "compressai"
    CODEC_COMPARE = "codec-compare"


def export(
    run: Annotated[Path, typer.Argument(help="Folder of the run", file_okay=False, autocompletion=completion.runs)],
    out: Annotated[Path, typer.Option(help="File to write for csv, folder of files for the others")],
    form: Annotated[Form, typer.Option("--format", help="What to write")] = Form.CSV,
) -> None:
    """Writes the rate-distortion points of a run for other programs.

    csv is one table, a row for each point; bench import reads it. compressai is a file for each curve, as CompressAI's
    plotting tool reads them. codec-compare is a file for each curve with a row for each image, and batches.json, which
    its pages load.
    """
    from uqdm.bench.exchange.export import export_run

    exported = export_run(run, form.value, out)
    for path in exported.files:
        typer.echo(path)
    for note in exported.notes:
        show_text(f"note: {note}", err=True)
