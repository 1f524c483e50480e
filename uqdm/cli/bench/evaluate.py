"""``uqdm bench evaluate``: measures codecs on a data set, on Ray."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli.bench._workers import (
    TIME_LIMIT_S,
    CpusPerActor,
    GpusPerActor,
    Readers,
    TimeLimit,
    limits,
    refuse_only_failures,
)

if TYPE_CHECKING:
    from uqdm.bench.evaluation.finish import CodecOutcome
    from uqdm.bench.run.codec_settings import Request


def evaluate(
    dataset: Annotated[str, typer.Option(help="demo, cifar10, imagenet64, kodak, folder:PATH or npz:PATH")],
    out: Annotated[Path, typer.Option(help="Folder of the run, e.g. results/demo", file_okay=False)],
    codec: Annotated[
        list[str] | None,
        typer.Option(help="NAME for its default settings, or NAME:key=value,... for one; may be repeated"),
    ] = None,
    codecs_file: Annotated[
        Path | None,
        typer.Option(
            help="YAML or JSON: {NAME: null | {key: value} | [{key: value}, ...]}", exists=True, dir_okay=False
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N images", min=1)] = None,
    cpus: Annotated[
        int | None, typer.Option(help="Cores for Ray [all]; without effect where RAY_ADDRESS is set", min=1)
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Compute only this metric of single images, beside MSE and PSNR; may be repeated [all]"),
    ] = None,
    score: Annotated[
        bool, typer.Option("--score/--no-score", help="Compute metrics of single images while the pictures are there")
    ] = True,
    shard_size: Annotated[int, typer.Option(help="Images in a shard", min=1)] = 50,
    streams: Annotated[bool, typer.Option("--streams/--no-streams", help="Keep the coded files after scoring")] = True,
    reconstructions: Annotated[
        bool, typer.Option("--reconstructions/--no-reconstructions", help="Keep every decoded picture, as a PNG")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Measure shards with failed images again")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Drop the rows of codecs that are not named here")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another process works in the folder")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if anything failed or was skipped")] = False,
    time_limit: TimeLimit = TIME_LIMIT_S,
    gpus_per_actor: GpusPerActor = 1.0,
    cpus_per_actor: CpusPerActor = 1,
    readers: Readers = 2,
    log: Annotated[Path | None, typer.Option(help="Write the progress lines to this file too", dir_okay=False)] = None,
) -> None:
    """Measures codecs on a data set: rates and times of every image, from real files that are decoded again."""
    from uqdm.bench.datasets import open_dataset
    from uqdm.bench.evaluation.evaluate import Options
    from uqdm.bench.evaluation.evaluate import evaluate as run
    from uqdm.bench.progress.lock import check_writable
    from uqdm.bench.progress.show import show_progress
    from uqdm.bench.run.codec_settings import resolve
    from uqdm.bench.run.layout import status_path
    from uqdm.bench.run.metric_choice import MetricChoice

    codecs = resolve(_requests(codec or [], codecs_file))
    options = Options(
        cpus=cpus,
        shard_size=shard_size,
        keep_streams=streams,
        keep_reconstructions=reconstructions,
        retry_failed=retry_failed,
        prune=prune,
        metrics=MetricChoice(tuple(metric) if metric else None) if score else None,
        limits=limits(time_limit, gpus_per_actor, cpus_per_actor, readers),
        wait=wait,
    )
    images = open_dataset(dataset, limit)
    check_writable(out)
    with show_progress(log, status_path(out)) as progress:
        findings = run(images, codecs, out, options, progress)
        clean = _conclude(findings, out, progress.say)
    refuse_only_failures(sum(found.ok for found in findings), (found.reason for found in findings if found.failed))
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


def _conclude(findings: list[CodecOutcome], out: Path, say: Callable[[str], None]) -> bool:
    """Says how many failed and were skipped, last; True if none."""
    from uqdm.bench.run.layout import rows_dir

    ok, failed = sum(found.ok for found in findings), sum(found.failed for found in findings)
    skipped = sum(found.skipped_settings for found in findings)
    advice = "; see their column `error`, and --retry-failed to try again" if failed else ""
    say(f"rows: {rows_dir(out)}")
    say(f"evaluated: {ok:,} images x settings ok, {failed:,} failed, {skipped} settings skipped{advice}")
    return not failed and not skipped
