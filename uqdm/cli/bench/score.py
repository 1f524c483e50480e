"""``uqdm bench score``: computes metrics of an evaluated run from its stored streams, on Ray."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from uqdm.bench.scoring.options import ScoringOptions
from uqdm.cli.bench._failures import refuse_only_failures
from uqdm.cli.bench._parameters import LogFile, RunFolder
from uqdm.cli.option_parameters import with_option_parameters
from uqdm.text import counted


@with_option_parameters
def score(
    run: RunFolder,
    options: ScoringOptions,
    log: LogFile = None,
) -> None:
    """Scores the pictures of an evaluated run: MSE, PSNR, SSIM, FID and others; nothing is encoded again."""
    score_pictures(run, options, log)


def score_pictures(run: Path, options: ScoringOptions, log: Path | None) -> None:
    """Scores a run, shows the progress and prints the outcome; raises ValueError where all pictures failed."""
    from uqdm.bench.features.extractors import extractor_names
    from uqdm.bench.progress.show import show_progress
    from uqdm.bench.run.layout import status_path
    from uqdm.bench.scoring.run import score_run

    for name in extractor_names():
        weights = options.weights(name)
        if weights is not None and not weights.is_file():
            raise FileNotFoundError(f"--{name}: no file {weights}")
    with show_progress(log, status_path(run)) as progress:
        outcome = score_run(run, options, progress)
        failed = f"{outcome.faults:,} FAILED, the first: {outcome.first_fault}" if outcome.faults else "0 failed"
        for line in _failed_metrics(run):
            progress.say(line)
        progress.say(f"scored: {counted(outcome.scored, 'picture')} now, {failed}")
    if outcome.faults:
        refuse_only_failures(_ok_rows(run), [outcome.first_fault])


def _failed_metrics(run: Path) -> list[str]:
    """A line for each metric that failed on pictures, with how many and one of the reasons.

    Missing metrics are reported before, and a picture that is too small for a metric is not a failure of it.
    """
    from uqdm.bench.metrics import all_metrics, lack_of
    from uqdm.bench.run.json_files import read_scores

    able = {metric.name for metric in all_metrics() if lack_of(metric) is None}
    pictures = Counter[str]()
    reasons: dict[str, str] = {}
    for name, counts in read_scores(run)["unscored"].items():
        for reason, n in counts.items():
            if name in able and "smallest side" not in reason:
                pictures[name] += n
                reasons[name] = reason
    return [f"NOT SCORED {name} of {n:,} pictures: {reasons[name]}" for name, n in pictures.items()]


def _ok_rows(run: Path) -> int:
    from uqdm.bench.run.row_batches import row_groups, with_status
    from uqdm.bench.schema import STATUS_OK

    return sum(with_status(rows, STATUS_OK).num_rows for rows in row_groups(run, ["status"]))
