"""``uqdm encode``: an image to a UQDM file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.file_arguments import read_picture, say, write_output
from uqdm.cli.model_options import Device, Force, ModelName, Threads, Weights, used_threads
from uqdm.cli.progress import counted_progress

_OTHER_PICTURES = (".pgm", ".pbm", ".pam", ".pfm", ".jxl", ".heic", ".heif", ".hif", ".tga", ".bpg", ".jpx", ".jpf",
                   ".apng", ".ico", ".psd", ".svg", ".exr", ".hdr", ".qoi", ".dng")  # fmt: skip


def encode(
    image: Annotated[Path, typer.Argument(help="Image of any size, or - for standard input")],
    file: Annotated[Path, typer.Argument(help="File to write, e.g. photo.uqdm, or - for standard output")],
    model: ModelName = "uqdm-demo",
    weights: Weights = "ema",
    seed: Annotated[int, typer.Option(help="First seed of the shared randomness", min=0)] = 0,
    seeds: Annotated[int | None, typer.Option(help="Seeds tried for each tile, a power of two")] = None,
    seeds_for: Annotated[
        str,
        typer.Option(
            help="Choose the seed with the fewest bits of: step1 (fast), or lossless (the whole file)",
            autocompletion=completion.one_of("step1", "lossless"),
        ),
    ] = "step1",
    device: Device = "cpu",
    threads: Threads = None,
    force: Force = False,
) -> None:
    """Compresses an image to one progressive file; the whole file is lossless."""
    from uqdm.coding.container import is_coded_file
    from uqdm.output import check_output
    from uqdm.progressive import load_model

    _check_suffix(file, force=force)
    check_output(file, is_coded_file, [image], force=force)
    pixels = read_picture(image)
    loaded = load_model(model, weights=weights, device=device, threads=used_threads(threads))
    with counted_progress("encoding") as report:
        (data,) = loaded.compress([pixels], seed=seed, seeds=seeds, seeds_for=seeds_for, report=report)
    write_output(file, data)
    height, width = pixels.shape[:2]
    bpp = 8 * len(data) / (height * width)
    say(file, f"{len(data)} bytes, {bpp:.3f} bpp for {width}x{height} pixels", to=file)


def _check_suffix(file: Path, *, force: bool) -> None:
    """Raises ValueError if the output has the name of a picture, for instance from a shell pattern with two matches."""
    from uqdm.images.write import FORMAT_BY_SUFFIX
    from uqdm.output import OutputError, is_stream

    is_picture = file.suffix.lower() in (*FORMAT_BY_SUFFIX, *_OTHER_PICTURES)
    if is_picture and not force and not is_stream(file):
        reason = f"the name of a picture ({file.suffix}) for a coded file"
        raise OutputError(f"{file}: {reason}; name the file to write, e.g. photo.uqdm, or use --force")
