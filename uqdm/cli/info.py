"""``uqdm info``: what is in a UQDM file, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def info(
    file: Annotated[Path, typer.Argument(help="File made by uqdm encode, or the beginning of one", exists=True)],
) -> None:
    """Prints header and index of a file as JSON; the model is not needed for it."""
    from uqdm.coding.container import describe

    typer.echo(json.dumps(describe(file.read_bytes()), indent=2))
