"""Codecs that a command is asked for, by options and by a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion

if TYPE_CHECKING:
    from uqdm.bench.run.codec_settings import Request

CodecRequests = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        help="NAME for its default settings, or NAME:key=value,...; a value may be a range or a list: "
        "jpeg:quality=10..90:10, 'jpeg:quality=10|50'; label=TEXT names its curve; @TARGET searches a setting for each "
        "image, or for the mean: jpeg@bpp=0.5, 'jpeg@psnr_db>=35', jpeg@mean_bpp=0.5; may be repeated",
        autocompletion=completion.codecs,
    ),
]
CodecsFile = Annotated[
    Path | None,
    typer.Option(help="YAML or JSON: {NAME: null | {key: value} | [{key: value}, ...]}", exists=True, dir_okay=False),
]
DATA_SETS = "demo, cifar10, imagenet64, kodak, tecnick, ..., folder:PATH, npz:PATH, or the path of a folder of images"


def requests(codecs: list[str], codecs_file: Path | None) -> list[Request]:
    """The requests of the options, then those of the file; raises ValueError for a file that is no mapping."""
    from uqdm.bench.run.codec_settings import parse_request, requests_from_mapping

    found = [parse_request(text) for text in codecs]
    if codecs_file is not None:
        found += requests_from_mapping(_read_mapping(codecs_file))
    return found


def _read_mapping(path: Path) -> dict[str, object]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML or JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of codec names to settings, got {type(content).__name__}")
    return content
