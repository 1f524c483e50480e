"""``uqdm decode``: a UQDM file, or the beginning of one, to an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.about import about
from uqdm.cli.file_arguments import picture_format, read_coded, shown, write_output
from uqdm.cli.model_options import Device, Force, ModelName, Threads, Weights, used_threads
from uqdm.cli.progress import counted_progress

if TYPE_CHECKING:
    from uqdm.images.write import WrittenFormat


def decode(
    file: Annotated[Path, typer.Argument(help="File made by uqdm encode, or - for standard input")],
    image: Annotated[Path, typer.Argument(help="Image to write, e.g. photo.png, or - for a PNG on standard output")],
    step: Annotated[int | None, typer.Option(help="Stop after this step; without it, lossless", min=0)] = None,
    n_bytes: Annotated[int | None, typer.Option("--bytes", help="Use only the first N bytes", min=0)] = None,
    reconstruction: Annotated[
        str,
        typer.Option(
            help="denoise, ancestral or flow", autocompletion=completion.one_of("denoise", "ancestral", "flow")
        ),
    ] = "denoise",
    noise_seed: Annotated[int, typer.Option(help="Seed of ancestral sampling", min=0)] = 0,
    salvage: Annotated[bool, typer.Option("--salvage", help="Decode the steps before the damage")] = False,
    model: ModelName = "uqdm-demo",
    weights: Weights = "ema",
    device: Device = "cpu",
    threads: Threads = None,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Write an image format that changes pixels, such as .jpg, .gif or .avif")
    ] = False,
    force: Force = False,
) -> None:
    """Decodes a file, or the available part of it, to an image."""
    from uqdm.images.write import check_holds, image_bytes
    from uqdm.output import check_output
    from uqdm.progressive import load_model

    kind = _format(image, lossy=lossy)
    check_output(image, inputs=[file], force=force)
    data = read_coded(file, n_bytes)
    with about(image):
        check_holds(kind, *_size(data))
    loaded = load_model(model, weights=weights, device=device, threads=used_threads(threads))
    if salvage:
        with about(file):
            picture, reason = loaded.salvage(data)
        pixels, used = picture.image_uint8, loaded.prefix(data, picture.step)
        typer.echo(f"{shown(file)}: {_held(picture.step)} is whole; lost: {reason}", err=True)
    else:
        with about(file), counted_progress("decoding") as report:
            used = loaded.prefix(data, step)
            (pixels,) = loaded.decompress([data], step, reconstruction, noise_seed=noise_seed, report=report)
    written, error = image_bytes(pixels, kind)
    write_output(image, written)
    steps = "lossless" if used.step is None else f"step {used.step} of {loaded.n_steps}"
    size = f"{pixels.shape[1]}x{pixels.shape[0]} pixels"
    typer.echo(f"{shown(image)}: {size}, {steps}, from the first {used.n_bytes} bytes", err=True)
    if not kind.exact:
        typer.echo(f"note: {kind.name} is lossy: pixels differ from the decoded ones by up to {error} of 255", err=True)


def _format(image: Path, *, lossy: bool) -> WrittenFormat:
    """The format to write; raises ValueError for a lossy one that is not allowed."""
    from uqdm.output import OutputError

    kind = picture_format(image)
    if not kind.exact and not lossy:
        raise OutputError(
            f"{image}: {kind.name} is lossy, so the picture would no longer be exact; use .png, or allow that: --lossy"
        )
    return kind


def _size(data: bytes) -> tuple[int, int]:
    """Width and height by the header; 1 by 1 if it is damaged, which decoding reports."""
    from uqdm.coding.container import parse

    try:
        header = parse(data).header
        return header.width, header.height
    except ValueError:
        return 1, 1


def _held(step: int | None) -> str:
    return "everything" if step is None else f"step {step}"
