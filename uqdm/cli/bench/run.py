"""``uqdm bench run``: every stage of a run in one command, from images to the report."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.cli import completion
from uqdm.cli.bench._notes import note_unfilled
from uqdm.cli.bench._parameters import PublishedChoice
from uqdm.cli.bench._requests import DATA_SETS, CodecRequests, CodecsFile, requests
from uqdm.cli.option_parameters import with_option_parameters
from uqdm.cli.workflow import wants_traceback
from uqdm.errors import USER_ERRORS, message_of

if TYPE_CHECKING:
    from uqdm.bench.datasets import DataSet
    from uqdm.bench.plots import Plot

CODECS = ("jpeg-tuned", "webp", "avif", "uqdm")
"""The codecs of a run that names none."""
RESULTS = Path("results")
_SUMMARIZE = "summarize"


@with_option_parameters
def run(
    dataset: Annotated[str, typer.Argument(help=f"The images: {DATA_SETS}", autocompletion=completion.data_sets)],
    scoring: ScoringOptions,
    evaluation: EvaluationOptions,
    codec: CodecRequests = None,
    codecs_file: CodecsFile = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run [a folder in results, named after the images]", file_okay=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N images", min=1)] = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            help="Codec, or curve such as 'uqdm flow', to compare the others with [see bench bd]",
            autocompletion=completion.codecs,
        ),
    ] = None,
    published: PublishedChoice = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if an image failed or a codec was skipped")] = False,
) -> None:
    """Compares codecs on a folder of images, or another data set: every stage of a run, up to its report.

    The stages are those of bench evaluate, score, summarize, bd, plot and report; the first two have the same options
    there. Run again, the same command resumes. Without --codec and --codecs-file the codecs are jpeg-tuned, webp, avif
    and uqdm.

    A stage that fails after the evaluation is reported, and the other stages follow as far as they can without it; the
    command then exits 1. Progress is also written to logs/ in the run.
    """
    from uqdm.bench.analysis.published_systems import check_choice
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.bench.datasets import dataset_files, open_dataset, spec_of
    from uqdm.bench.execute.ray_session import ray_kept
    from uqdm.bench.progress.lock import check_writable
    from uqdm.bench.run.codec_settings import Request, resolve
    from uqdm.cli.bench.evaluate import measure

    check_choice(published)
    spec = spec_of(dataset)
    dataset_files(spec)  # a mistaken name is reported at once
    codecs = resolve(requests(codec or [], codecs_file) or [Request(name) for name in CODECS])
    images = open_dataset(spec, limit)
    folder = out or RESULTS / run_name(images.name)
    _check_place(folder, images, None if evaluation.prune else list(codecs))
    check_writable(folder)
    failed: list[str] = []
    with ray_kept():
        clean = measure(images, codecs, folder, evaluation, folder / "logs" / "evaluate.log")
        _score(folder, scoring, failed)
    make_products(folder, anchor, published, failed)
    if _SUMMARIZE not in failed:
        typer.echo(closing_message(folder))
        note_unfilled(folder)
    if failed:
        raise ValueError(f"{', '.join(failed)} failed, as said above; the same command tries again")
    if strict and not clean:
        raise typer.Exit(1)


def run_name(name: str) -> str:
    """A name of a run's folder, made of the name of a data set.

    >>> run_name("photos"), run_name("My photos (2)"), run_name("_")
    ('photos', 'My-photos-2', 'run')
    """
    return re.sub("[^A-Za-z0-9._-]+", "-", name).strip("-._") or "run"


def _check_place(folder: Path, images: DataSet, named: list[str] | None) -> None:
    """Raises ValueError for a folder among the images, or with results of other images.

    ``named`` are the codecs that are measured again; None if the rows of all others are removed.
    """
    from uqdm.bench.datasets import dataset_files
    from uqdm.bench.run.errors import ResultsError
    from uqdm.bench.run.json_files import read_manifest
    from uqdm.bench.run.layout import manifests_dir

    for source in dataset_files(images.spec):
        if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
            raise ValueError(f"{folder}: lies in the folder of the images, {source}; choose another with --out")
    for path in sorted(manifests_dir(folder).glob("*.json")):
        try:
            there = read_manifest(folder, path.stem)["dataset"]
        except ResultsError:
            continue  # the evaluation replaces it
        is_same = there["fingerprint"] == images.fingerprint
        if there["name"] != images.name or (there.get("spec", images.spec) != images.spec and not is_same):
            held = there.get("spec", there["name"])
            raise ValueError(f"{folder}: holds a run of {held}, not of {images.spec}; choose another folder with --out")
        if not is_same and named is not None and path.stem not in named:
            raise ValueError(
                f"{folder}: {path.stem} was evaluated on other images of {images.spec}; name it with --codec too, "
                "remove its rows with --prune, or choose another folder with --out"
            )


def _score(folder: Path, scoring: ScoringOptions, failed: list[str]) -> None:
    """Scores a run, without metrics of sets where that fails; adds the names of stages that failed to ``failed``."""
    from uqdm.cli.bench.score import score_pictures

    log = folder / "logs" / "score.log"
    with _stage("score", failed):
        score_pictures(folder, scoring, log)
    if failed:  # a summary needs a scoring
        with _stage("score without metrics of sets", failed):
            score_pictures(folder, _of_single_images(scoring), log)


def make_products(folder: Path, anchor: str | None, published: str | None, failed: list[str]) -> None:
    """Makes the products as far as possible; adds the names of stages that failed to ``failed``."""
    from uqdm.bench.analysis.summarize import summarize_run
    from uqdm.bench.plots import all_plots, broken_plots
    from uqdm.bench.report import save_report

    with _stage(_SUMMARIZE, failed):
        summarize_run(folder)
    if _SUMMARIZE in failed:
        return
    with _stage("bd", failed):
        _save_deltas(folder, anchor)
    for broken in broken_plots():
        typer.echo(f"SKIPPED {broken}", err=True)
    for plot in all_plots():
        with _stage(f"plot {plot.name}", failed):
            _save_plot(plot, folder, published)
    with _stage("report", failed):
        save_report(folder, published=published)


def _of_single_images(scoring: ScoringOptions) -> ScoringOptions:
    """The options without metrics of sets."""
    from uqdm.bench.metrics import all_metrics

    names = tuple(metric.name for metric in all_metrics() if scoring.choice.asks_for(metric.name))
    return replace(scoring, metrics=names, inception_weights=None, dinov2_weights=None, clip_weights=None)


@contextlib.contextmanager
def _stage(name: str, failed: list[str]) -> Iterator[None]:
    """Announces a stage; an error of it is printed, and its name is added to ``failed``."""
    from uqdm.text import error_line

    typer.echo(f"stage {name}", err=True)
    try:
        yield
    except Exception as error:  # the products of the other stages are made
        if wants_traceback():
            traceback.print_exc()
        reason = message_of(error) if isinstance(error, USER_ERRORS) else error_line(error)
        typer.echo(f"FAILED {name}: {reason}", err=True)
        failed.append(name)


def _save_deltas(folder: Path, anchor: str | None) -> None:
    """Writes the tables of deltas; where that fails, earlier ones are removed."""
    from uqdm.bench.analysis.bd_table import make_bd_tables, save_bd_tables
    from uqdm.bench.run.layout import bd_of_images_path, bd_path

    try:
        save_bd_tables(make_bd_tables(folder, anchor), folder)
    except Exception:
        for path in (bd_path(folder), bd_of_images_path(folder)):
            path.unlink(missing_ok=True)
        raise


def _save_plot(plot: Plot, folder: Path, published: str | None) -> None:
    """Draws a plot, or says that the run has nothing to draw; where it fails, its earlier files are removed."""
    from uqdm.bench.plots import save_plot

    try:
        save_plot(plot, folder, say=lambda text: typer.echo(text, err=True), published=published)
    except Exception:
        for file in plot.files(folder):
            file.unlink(missing_ok=True)
        raise
