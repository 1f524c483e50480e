"""``uqdm swirl``: the swirl experiments, which ``snakemake paper_swirl`` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.lazy import Group
from uqdm.cli.model_options import Force
from uqdm.swirl.settings import Settings

app = typer.Typer(cls=Group, no_args_is_help=True, rich_markup_mode=None)

Models = Annotated[Path, typer.Option(help="Folder of the trained models", file_okay=False)]
Seed = Annotated[int, typer.Option(help="Of training", min=0)]


@app.callback()
def swirl() -> None:
    """Trains and measures the models of the swirl experiments, and judges the paper's claims."""


@app.command()
def train(
    kind: Annotated[
        str,
        typer.Option(
            help="vdm, learned, fixed or wide", autocompletion=completion.one_of("vdm", "learned", "fixed", "wide")
        ),
    ],
    steps: Annotated[list[int], typer.Option(help="Numbers of steps T, one model each", min=1)],
    iterations: Annotated[int, typer.Option(help="Iterations of training for each model", min=1)],
    seed: Seed,
    models: Models,
    out: Annotated[Path | None, typer.Option(help="File that lists the folders of the models", dir_okay=False)] = None,
    force: Force = False,
) -> None:
    """Trains models of one kind; existing ones are kept."""
    import json

    import torch

    from uqdm.files import write_bytes
    from uqdm.output import check_output, is_json_object
    from uqdm.swirl.training import train_models

    if out is not None:
        check_output(out, is_json_object, force=force)
    torch.set_num_threads(1)
    folders = train_models(models, kind, steps, iterations, seed, typer.echo)
    if out is not None:
        listed = {str(n): folder.name for n, folder in zip(steps, folders, strict=True)}
        write_bytes(out, (json.dumps(listed, indent=2) + "\n").encode())


@app.command()
def measure(
    seed: Seed,
    models: Models,
    out: Annotated[Path, typer.Option(help="Folder for the measurements", file_okay=False)],
    vdm_steps: Annotated[list[int], typer.Option(help="Numbers of steps T that the VDM is measured at", min=1)],
    points: Annotated[int, typer.Option(help="Held-out points that rates are measured on", min=2)] = Settings.points,
    sampled_points: Annotated[int, typer.Option(help="Points in each set of samples", min=2)] = Settings.sampled_points,
) -> None:
    """Measures the models of a seed, which must all exist, on held-out points."""
    import torch

    from uqdm.swirl.measure import measure_seed

    torch.set_num_threads(1)
    measure_seed(models, out, seed, vdm_steps, points, sampled_points, typer.echo)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="Folder of the run, e.g. results/paper_swirl", file_okay=False)],
    seed: Annotated[list[int], typer.Option(help="Seeds that were measured", min=0)],
) -> None:
    """Writes table.csv, .md, .tex and figures of the measurements, with a verdict for each of the paper's claims."""
    from uqdm.swirl.report import save_report

    for path in save_report(out, seed):
        typer.echo(path)
