"""``uqdm bench evaluate``: measures codecs on a data set, on Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.cli.bench._failures import refuse_only_failures
from uqdm.cli.bench._parameters import LogFile, RunFolder
from uqdm.cli.option_parameters import with_option_parameters

if TYPE_CHECKING:
    from uqdm.bench.evaluation.finish import CodecOutcome
    from uqdm.bench.run.codec_settings import Request


@with_option_parameters
def evaluate(
    dataset: Annotated[str, typer.Option(help="demo, cifar10, imagenet64, kodak, folder:PATH or npz:PATH")],
    out: RunFolder,
    options: EvaluationOptions,
    codec: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME for its default settings, or NAME:key=value,...; a value may be a range or a list: "
            "jpeg:quality=10..90:10, 'jpeg:quality=10|50'; label=TEXT names its curve; may be repeated"
        ),
    ] = None,
    codecs_file: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON: {NAME: null | {key: value} | [{key: value}, ...]}", exists=True, dir_okay=False
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N images", min=1)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if anything failed or was skipped")] = False,
    log: LogFile = None,
) -> None:
    """Measures codecs on a data set: rates and times of every image, from real files that are decoded again."""
    from uqdm.bench.datasets import open_dataset
    from uqdm.bench.evaluation.evaluate import evaluate as run
    from uqdm.bench.progress.lock import check_writable
    from uqdm.bench.progress.show import show_progress
    from uqdm.bench.run.codec_settings import resolve
    from uqdm.bench.run.layout import status_path

    codecs = resolve(_requests(codec or [], codecs_file))
    images = open_dataset(dataset, limit)
    check_writable(out)
    with show_progress(log, status_path(out)) as progress:
        outcomes = run(images, codecs, out, options, progress)
        clean = _conclude(outcomes, out, progress.say)
    n_ok = sum(outcome.ok for outcome in outcomes)
    refuse_only_failures(n_ok, (outcome.reason for outcome in outcomes if outcome.failed))
    if strict and not clean:
        raise typer.Exit(1)


def _requests(codecs: list[str], codecs_file: Path | None) -> list[Request]:
    from uqdm.bench.run.codec_settings import parse_request, requests_from_mapping

    requests = [parse_request(text) for text in codecs]
    if codecs_file is not None:
        requests += requests_from_mapping(_read_mapping(codecs_file))
    if not requests:
        raise ValueError("no codec named: give --codec NAME or --codecs-file FILE; `uqdm codecs` lists them")
    return requests


def _read_mapping(path: Path) -> dict[str, object]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML or JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of codec names to settings, got {type(content).__name__}")
    return content


def _conclude(outcomes: list[CodecOutcome], out: Path, say: Callable[[str], None]) -> bool:
    """Prints how many failed and were skipped, as the last line; True if none."""
    from uqdm.bench.run.layout import rows_dir

    ok = sum(outcome.ok for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    skipped = sum(outcome.skipped_settings for outcome in outcomes)
    advice = "; see their column `error`, and --retry-failed to try again" if failed else ""
    say(f"rows: {rows_dir(out)}")
    say(f"evaluated: {ok:,} images x settings ok, {failed:,} failed, {skipped} settings skipped{advice}")
    return not failed and not skipped
