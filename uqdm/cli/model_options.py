"""Options of every command with a model."""

from __future__ import annotations

from typing import Annotated

import typer

from uqdm.cli import completion

ModelName = Annotated[
    str,
    typer.Option(
        "--model", help="Name of a shipped model, or path of a model folder", autocompletion=completion.models
    ),
]
Weights = Annotated[str, typer.Option(help="Weights of a published checkpoint: ema, or as-released")]
Device = Annotated[str, typer.Option(help="cpu, or cuda")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite any existing file, also the input")]
