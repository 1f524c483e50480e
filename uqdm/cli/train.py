"""``uqdm train``: trains a model by a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uqdm.training.trainer import Progress


def train(
    config: Annotated[Path, typer.Argument(help="YAML configuration, as in config/train/", exists=True)],
    images: Annotated[Path, typer.Option(help="Folder of photographs to train on", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for the trained model")],
    iterations: Annotated[int | None, typer.Option(help="Override the configuration's n_iterations", min=1)] = None,
) -> None:
    """Trains a model on a folder of photographs, on the CPU."""
    from uqdm.progressive.tolerance import record
    from uqdm.training.run import n_iterations_of, read_config, train_from_config

    total = iterations or n_iterations_of(read_config(config))

    def show(progress: Progress) -> None:
        left = progress.seconds / max(1, progress.iteration) * (total - progress.iteration)
        rates = " ".join(f"{bpp:.3f}" for bpp in progress.step_bpp)
        typer.echo(f"{progress.iteration}/{total}  bpp by step: {rates}  {left / 60:.1f} min left", err=True)

    folder = train_from_config(config, images, out, show, n_iterations=iterations)
    record(folder)
    typer.echo(f"model written to {folder}")
