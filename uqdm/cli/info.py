"""``uqdm info``: the content of a UQDM file as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from uqdm.cli import completion
from uqdm.cli.about import about
from uqdm.cli.file_arguments import read_coded


def info(
    file: Annotated[
        Path, typer.Argument(help="File made by uqdm encode, or the beginning of one; - for standard input")
    ],
    model: Annotated[
        str | None, typer.Option(help="Model of the file, if it is not a shipped one", autocompletion=completion.models)
    ] = None,
    ideal: Annotated[bool, typer.Option(help="Decode the file to determine its ideal bits")] = True,
) -> None:
    """Prints the properties of a file as JSON: format, model, sizes, checks, and ideal bits by step."""
    from uqdm.coding.container import describe

    data = read_coded(file)
    with about(file):
        described = describe(data)
        by_model = _by_model(data, described["model_id"], model) if ideal else {}
    typer.echo(json.dumps({**described, **by_model}, indent=2))


def _by_model(data: bytes, model_id: str, given: str | None) -> dict[str, Any]:
    """The model's name, and the ideal bits of each stage; null if no model on this machine made the file."""
    from uqdm.model.zoo import shipped_names
    from uqdm.progressive import load_model

    for name in [given] if given is not None else shipped_names():
        loaded = load_model(name)
        if given is not None or loaded.model.sha256.startswith(model_id):
            bits = loaded.ideal_bits(data)
            return {"model": loaded.model.name, "model_sha256": loaded.model.sha256, "ideal_bits": bits}
    return {"model": None, "ideal_bits": None, "note": "no shipped model made this file: name it with --model"}
