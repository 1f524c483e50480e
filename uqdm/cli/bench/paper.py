"""``uqdm bench paper``: a run compared with the paper's figures, row by row, with verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion


def paper(
    run: Annotated[
        Path,
        typer.Option(
            help="Folder of the run, e.g. results/paper_cifar10", file_okay=False, autocompletion=completion.runs
        ),
    ],
    published: Annotated[
        str,
        typer.Option(
            help="The published figures: cifar10 or imagenet64",
            autocompletion=completion.one_of("cifar10", "imagenet64"),
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(help="LABEL=PATH of a UQDM model in the run, to compare with the published one; may be repeated"),
    ] = None,
    published_model: Annotated[
        list[str] | None, typer.Option(help="LABEL of a model that is the published one itself")
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="SYSTEM=FILE of a checkpoint in the run, for vae-b or vae-m; once for each rate"),
    ] = None,
    published_checkpoints: Annotated[
        list[str] | None, typer.Option(help="SYSTEM whose checkpoints are the published ones themselves")
    ] = None,
) -> None:
    """Compares a summarized run with the paper's figures: writes table.csv, .md, .tex and figures."""
    from uqdm.bench.analysis.published_curves import published as find_published
    from uqdm.bench.paper.protocol import parse_models, parse_weights
    from uqdm.bench.paper.save import closing_line, save_paper

    find_published(published)  # raises an error that lists the known ones
    models = parse_models(model or [], published_model or [])
    weights = parse_weights(checkpoint or [], published_checkpoints or [])
    for path in save_paper(run, published, models, weights):
        typer.echo(path)
    typer.echo(closing_line(run), nl=False)
