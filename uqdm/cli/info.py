"""``uqdm info``: the content of a UQDM file as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uqdm.cli import completion
from uqdm.cli.about import about
from uqdm.cli.file_arguments import bytes_left, opened, read_coded
from uqdm.cli.json_output import print_json


def info(
    file: Annotated[
        Path, typer.Argument(help="File made by uqdm encode, or the beginning of one; - for standard input")
    ],
    model: Annotated[
        str | None, typer.Option(help="Model of the file, if it is not a shipped one", autocompletion=completion.models)
    ] = None,
    ideal_bits: Annotated[
        bool, typer.Option("--ideal-bits", help="Also decode the file, to determine the ideal bits of each step")
    ] = False,
) -> None:
    """Prints the properties of a file as JSON: format, model, sizes and checks by step.

    Reads header and index (in version 3: the lengths at the beginning of each step) alone, whatever the length of the
    file.
    """
    if ideal_bits:
        print_json(_with_ideal_bits(file, model))
        return
    from uqdm.coding.container import describe, read_layout

    with opened(file) as stream, about(file):
        layout = read_layout(stream)
        n_bytes = layout.bytes_read + bytes_left(stream)
        layout.check_length(n_bytes)
        maker = _maker(layout.header.model_id.hex(), model)
    print_json({**describe(layout, n_bytes), **maker})


def _maker(model_id: str, given: str | None) -> dict[str, Any]:
    """Name and digest of the model that made a file; null if it is not known here."""
    from uqdm.model.zoo import identify, shipped_names

    for name in [given] if given is not None else shipped_names():
        found = identify(name)
        if found.sha256.startswith(model_id):
            return {"model": found.name, "model_sha256": found.sha256}
        if given is not None:
            made = f"the file was made with model {model_id}, not with {found.name} ({found.sha256[: len(model_id)]})"
            raise ValueError(f"{made}: name the model that made it with --model")
    return {"model": None, "note": "no shipped model made this file: name it with --model"}


def _with_ideal_bits(file: Path, model: str | None) -> dict[str, Any]:
    """The same properties, and the ideal bits of each stage; null if no model on this machine made the file."""
    from uqdm.coding.container import describe, parse

    data = read_coded(file)
    with about(file):
        container = parse(data)
        maker = _maker(container.header.model_id.hex(), model)
        bits = _ideal_bits(model or maker["model"], data)
    return {**describe(container, len(data)), **maker, "ideal_bits": bits}


def _ideal_bits(model: str | None, data: bytes) -> list[float] | None:
    if model is None:
        return None
    from uqdm.progressive import load_model

    return load_model(model).ideal_bits(data)
