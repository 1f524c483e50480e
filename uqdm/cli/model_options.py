"""Options of every command with a model."""

from __future__ import annotations

from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.machine import available_cores

MAX_THREADS = 8
"""Most threads by default: each takes memory for the activations of a batch."""

ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="Name of a shipped model, path of a model folder, or hf:OWNER/NAME[@REVISION]",
        autocompletion=completion.models,
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        help="Weights of a published checkpoint: ema, or as-released",
        autocompletion=completion.one_of("ema", "as-released"),
    ),
]
Device = Annotated[str, typer.Option(help="cpu, or cuda", autocompletion=completion.one_of("cpu", "cuda"))]
Threads = Annotated[
    int | None,
    typer.Option(help=f"Threads that compute, each on its own tiles [all cores, at most {MAX_THREADS}]", min=1),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite any existing file, also the input")]


def used_threads(threads: int | None) -> int:
    """The number of threads of the option, or its default.

    >>> used_threads(3), 1 <= used_threads(None) <= MAX_THREADS
    (3, True)
    """
    return threads or min(available_cores(), MAX_THREADS)
