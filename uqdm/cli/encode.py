"""``uqdm encode``: an image to a UQDM file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli.about import about
from uqdm.cli.model_options import Device, ModelName, Weights
from uqdm.cli.progress import tile_progress


def encode(
    image: Annotated[Path, typer.Argument(help="Image of any size", exists=True, dir_okay=False)],
    file: Annotated[Path, typer.Argument(help="File to write, e.g. photo.uqdm")],
    model: ModelName = "uqdm-demo",
    weights: Weights = "ema",
    seed: Annotated[int, typer.Option(help="First seed of the shared randomness", min=0)] = 0,
    seeds: Annotated[int | None, typer.Option(help="Seeds tried for each tile, a power of two")] = None,
    seeds_for: Annotated[
        str, typer.Option(help="What the best seed has the fewest bits of: step1 (quick), or lossless (the whole file)")
    ] = "step1",
    device: Device = "cpu",
) -> None:
    """Compresses an image to one progressive file, lossless at its end."""
    from uqdm.bench.datasets import read_image_file
    from uqdm.bench.files import write_bytes
    from uqdm.progressive import load_model

    with about(image):
        pixels = read_image_file(image)
    loaded = load_model(model, weights=weights, device=device)
    with tile_progress("encoding") as report:
        (data,) = loaded.compress([pixels], seed=seed, seeds=seeds, seeds_for=seeds_for, report=report)
    write_bytes(file, data)
    height, width = pixels.shape[:2]
    typer.echo(f"{file}: {len(data)} bytes, {8 * len(data) / (height * width):.3f} bpp for {width}x{height} pixels")
