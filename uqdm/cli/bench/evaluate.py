"""``uqdm bench evaluate``: measures codecs on a data set, on Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.cli import completion
from uqdm.cli.bench._failures import refuse_only_failures
from uqdm.cli.bench._parameters import LogFile, RunFolder
from uqdm.cli.bench._requests import DATA_SETS, CodecRequests, CodecsFile, requests
from uqdm.cli.option_parameters import with_option_parameters
from uqdm.text import counted

if TYPE_CHECKING:
    from uqdm.bench.datasets import DataSet
    from uqdm.bench.evaluation.finish import CodecOutcome
    from uqdm.bench.run.codec_settings import CodecSetting


@with_option_parameters
def evaluate(
    dataset: Annotated[str, typer.Option(help=DATA_SETS, autocompletion=completion.data_sets)],
    out: RunFolder,
    options: EvaluationOptions,
    codec: CodecRequests = None,
    codecs_file: CodecsFile = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N images", min=1)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if anything failed or was skipped")] = False,
    log: LogFile = None,
) -> None:
    """Measures codecs on a data set: rates and times of every image, from real files that are decoded again."""
    from uqdm.bench.datasets import open_dataset, spec_of
    from uqdm.bench.progress.lock import check_writable
    from uqdm.bench.run.codec_settings import resolve

    asked = requests(codec or [], codecs_file)
    if not asked:
        raise ValueError("no codec named: give --codec NAME or --codecs-file FILE; `uqdm codecs` lists them")
    codecs = resolve(asked)
    images = open_dataset(spec_of(dataset), limit)
    check_writable(out)
    clean = measure(images, codecs, out, options, log)
    if strict and not clean:
        raise typer.Exit(1)


def measure(
    images: DataSet,
    codecs: Mapping[str, Sequence[CodecSetting]],
    out: Path,
    options: EvaluationOptions,
    log: Path | None,
) -> bool:
    """Evaluates, shows the progress and prints the outcome; whether nothing failed and nothing was skipped.

    Raises ValueError where all images failed.
    """
    from uqdm.bench.evaluation.evaluate import evaluate as run
    from uqdm.bench.progress.show import show_progress
    from uqdm.bench.run.layout import status_path

    with show_progress(log, status_path(out)) as progress:
        outcomes = run(images, codecs, out, options, progress)
        clean = _conclude(outcomes, out, progress.say)
    n_ok = sum(outcome.ok for outcome in outcomes)
    refuse_only_failures(n_ok, (outcome.reason for outcome in outcomes if outcome.failed))
    return clean


def _conclude(outcomes: list[CodecOutcome], out: Path, say: Callable[[str], None]) -> bool:
    """Prints how many failed and were skipped, as the last line; True if none."""
    from uqdm.bench.run.layout import rows_dir

    ok = sum(outcome.ok for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    skipped = sum(outcome.skipped_settings for outcome in outcomes)
    advice = "; see their column `error`, and --retry-failed to try again" if failed else ""
    say(f"rows: {rows_dir(out)}")
    say(
        f"evaluated: {counted(ok, 'image x setting', 'images x settings')} ok, {failed:,} failed, "
        f"{counted(skipped, 'setting')} skipped{advice}"
    )
    return not failed and not skipped
