"""``uqdm bench score``: computes metrics of an evaluated run from its stored streams, on Ray."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

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


def score(
    run: Annotated[Path, typer.Option(help="Folder of the run, e.g. results/demo", file_okay=False)],
    metric: Annotated[
        list[str] | None, typer.Option(help="Compute only this one, beside MSE and PSNR; may be repeated [all]")
    ] = None,
    set_images: Annotated[
        int, typer.Option(help="Images that metrics of sets (FID, KID) are computed on; 0: all", min=0)
    ] = 64,
    set_settings: Annotated[
        int, typer.Option(help="Settings of each codec that metrics of sets are computed for; 0: all", min=0)
    ] = 5,
    features: Annotated[
        Path | None, typer.Option(help="Folder that keeps features [features, beside the run]", file_okay=False)
    ] = None,
    inception: Annotated[
        Path | None, typer.Option(help="File of the Inception network's weights [found or fetched]", dir_okay=False)
    ] = None,
    cpus: Annotated[
        int | None, typer.Option(help="Cores for Ray [all]; without effect where RAY_ADDRESS is set", min=1)
    ] = None,
    batch: Annotated[int, typer.Option(help="Pictures that go through the network at once", min=1)] = 32,
    time_limit: TimeLimit = TIME_LIMIT_S,
    gpus_per_actor: GpusPerActor = 1.0,
    cpus_per_actor: CpusPerActor = 1,
    readers: Readers = 2,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another process works in the folder")] = False,
    log: Annotated[Path | None, typer.Option(help="Write the progress lines to this file too", dir_okay=False)] = None,
) -> None:
    """Scores the pictures of an evaluated run: MSE, PSNR, SSIM, FID and others; nothing is encoded again."""
    from uqdm.bench.progress.show import show_progress
    from uqdm.bench.run.layout import status_path
    from uqdm.bench.scoring.extraction import Recipe
    from uqdm.bench.scoring.run import Options, score_run
    from uqdm.bench.scoring.selection import Selection

    if inception is not None and not inception.is_file():
        raise FileNotFoundError(f"--inception: no file {inception}")
    options = Options(
        tuple(metric) if metric else None,
        Selection(set_images or None, set_settings or None),
        features,
        Recipe(weights=inception, batch=batch),
        cpus=cpus,
        limits=limits(time_limit, gpus_per_actor, cpus_per_actor, readers),
        wait=wait,
    )
    with show_progress(log, status_path(run)) as progress:
        outcome = score_run(run, options, progress)
        failed = f"{outcome.faults:,} FAILED, the first: {outcome.first_fault}" if outcome.faults else "0 failed"
        for line in _failed_metrics(run):
            progress.say(line)
        progress.say(f"scored: {outcome.scored:,} pictures now, {failed}")
    if outcome.faults:
        refuse_only_failures(_ok_rows(run), [outcome.first_fault])


def _failed_metrics(run: Path) -> list[str]:
    """A line for each metric that failed on pictures, with how many and one of the reasons.

    Those that are not here are told before, and a picture that is too small for a metric is no failure of it.
    """
    from uqdm.bench.metrics import all_metrics, lack_of
    from uqdm.bench.run.json_files import read_scores
    from uqdm.bench.run.unscored import unscored_reasons

    able = {metric.name for metric in all_metrics() if lack_of(metric) is None}
    pictures = Counter[str]()
    reasons: dict[str, str] = {}
    for text, n in read_scores(run)["unscored"].items():
        for name, reason in unscored_reasons(text).items():
            if name in able and "smallest side" not in reason:
                pictures[name] += n
                reasons[name] = reason
    return [f"NOT SCORED {name} of {n:,} pictures: {reasons[name]}" for name, n in pictures.items()]


def _ok_rows(run: Path) -> int:
    from uqdm.bench.run.row_batches import row_groups, with_status
    from uqdm.bench.schema import STATUS_OK

    return sum(with_status(rows, STATUS_OK).num_rows for rows in row_groups(run, ["status"]))
