"""``uqdm sample``: unconditional samples of a diffusion model on one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.about import about
from uqdm.cli.file_arguments import picture_format, shown, write_output
from uqdm.cli.model_options import Device, Force, Weights
from uqdm.cli.progress import counted_progress


def sample(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of a shipped diffusion model, path of a model folder, or hf:OWNER/NAME",
            autocompletion=completion.models,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Picture to write, e.g. sheet.png, or - for a PNG on standard output")],
    n: Annotated[int, typer.Option("--n", help="Number of samples", min=1)] = 64,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers", min=0)] = 0,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Number of steps T, for models with one network for all noise levels [the model's own]", min=1
        ),
    ] = None,
    deviation: Annotated[
        str,
        typer.Option(
            help="Deviation of each step of a Gaussian model: posterior (fixed), predicted, or own (predicted)",
            autocompletion=completion.one_of("posterior", "predicted", "own"),
        ),
    ] = "own",
    columns: Annotated[int | None, typer.Option(help="Samples in a row [as many as rows]", min=1)] = None,
    weights: Weights = "ema",
    device: Device = "cpu",
    force: Force = False,
) -> None:
    """Draws samples of a diffusion model from noise alone, without an image, as one sheet.

    A sample depends on its number and the seed: the first of many are the same as few.
    """
    from uqdm.images.write import check_holds, image_bytes
    from uqdm.output import check_output
    from uqdm.sampling.named import sampler_of
    from uqdm.sampling.sheet import columns_of, sheet, sheet_size

    kind = picture_format(out)
    check_output(out, force=force)
    sampler = sampler_of(model, steps, deviation=deviation, weights=weights, seed=seed, device=device)
    in_a_row = columns_of(n, columns)
    width, height = sheet_size(n, sampler.image_size, in_a_row)
    with about(out):
        check_holds(kind, width, height)
    with counted_progress("sampling", "samples") as report:
        drawn = sampler.draw(n, report)
    write_output(out, image_bytes(sheet(drawn, in_a_row), kind)[0])
    typer.echo(f"{shown(out)}: {n} samples of {model}, {width}x{height} pixels", err=True)
