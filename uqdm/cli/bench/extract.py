"""``uqdm bench extract``: one image's files out of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.file_arguments import shown
from uqdm.text import printable


def extract(
    run: Annotated[Path, typer.Argument(help="Folder of the run", file_okay=False, autocompletion=completion.runs)],
    image: Annotated[str, typer.Option(help="The image: its id, or its index from 0")],
    out: Annotated[Path, typer.Option(help="Folder to write the files to", file_okay=False)],
    codec: Annotated[str | None, typer.Option(help="Only this codec", autocompletion=completion.codecs)] = None,
    setting: Annotated[str | None, typer.Option(help="Only this setting, e.g. quality=50")] = None,
    point: Annotated[str | None, typer.Option(help="Only pictures at this point, e.g. 'step 2'")] = None,
    reconstruction: Annotated[str | None, typer.Option(help="Only this kind of picture, e.g. denoise")] = None,
) -> None:
    """Extracts one image's files from a run: the original, the coded files, and the decoded pictures as PNG."""
    from uqdm.bench.analysis.extract import ExtractRequest
    from uqdm.bench.analysis.extract import extract as extract_image

    extracted = extract_image(run, image, out, ExtractRequest(codec, setting, point, reconstruction))
    typer.echo(f"image {extracted.image_index}: {printable(extracted.image_id)}")
    for path in extracted.files:
        typer.echo(f"{shown(path)}  {path.stat().st_size:,} bytes")
    for reason in extracted.lacking:
        typer.echo(f"LACKING {printable(reason)}", err=True)
