"""``uqdm decode``: a UQDM file, or the beginning of one, to an image."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli.about import about
from uqdm.cli.model_options import Device, ModelName, Weights
from uqdm.cli.progress import tile_progress


def decode(
    file: Annotated[Path, typer.Argument(help="File made by uqdm encode", exists=True, dir_okay=False)],
    image: Annotated[Path, typer.Argument(help="Image to write, e.g. photo.png")],
    step: Annotated[int | None, typer.Option(help="Stop after this step; without it, lossless", min=0)] = None,
    n_bytes: Annotated[int | None, typer.Option("--bytes", help="Use only the first so many bytes", min=0)] = None,
    reconstruction: Annotated[str, typer.Option(help="denoise, ancestral or flow")] = "denoise",
    noise_seed: Annotated[int, typer.Option(help="Seed of ancestral sampling", min=0)] = 0,
    salvage: Annotated[bool, typer.Option("--salvage", help="Of a damaged file, decode the steps before it")] = False,
    model: ModelName = "uqdm-demo",
    weights: Weights = "ema",
    device: Device = "cpu",
) -> None:
    """Decodes a file, or as much of it as there is, to an image."""
    from PIL import Image

    from uqdm.bench.files import write_bytes
    from uqdm.progressive import load_model

    Image.init()
    if image.suffix.lower() not in Image.EXTENSION:
        raise ValueError(f"{image}: unknown kind of image; give it a suffix such as .png")
    data = file.read_bytes()[:n_bytes]
    loaded = load_model(model, weights=weights, device=device)
    if salvage:
        with about(file):
            picture, reason = loaded.salvage(data)
        pixels = picture.image_uint8
        typer.echo(f"{file}: {_held(picture.step)} is whole; lost: {reason}", err=True)
    else:
        with about(file), tile_progress("decoding") as report:
            (pixels,) = loaded.decompress([data], step, reconstruction, noise_seed=noise_seed, report=report)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, Image.EXTENSION[image.suffix.lower()])
    write_bytes(image, buffer.getvalue())
    typer.echo(f"{image}: {pixels.shape[1]}x{pixels.shape[0]} pixels from {len(data)} bytes")


def _held(step: int | None) -> str:
    return "everything" if step is None else f"step {step}"
