"""Scores a run: finds what is missing, computes it on Ray, fills the rows, and writes ``scores.json`` last."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uqdm.bench.datasets import Images
from uqdm.bench.evaluation.original_images import read_originals
from uqdm.bench.evaluation.shard_job import shard_timing
from uqdm.bench.evaluation.worker_sharing import sharing_workers
from uqdm.bench.execute.executor import Executor
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.ray_session import Resources, ray_session
from uqdm.bench.execute.scheduler import Group
from uqdm.bench.features.extractors import extractor_names
from uqdm.bench.file_identity import write_stored
from uqdm.bench.metrics import Metric, all_metrics, all_set_metrics, broken_metrics
from uqdm.bench.progress.lock import locked
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.filled_rows import MissingScores, is_filled, ok_rows, picture_of, scored_origin
from uqdm.bench.run.layout import features_dir, scores_path
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.row_batches import row_groups, with_status
from uqdm.bench.run.rows_reader import rows_files, rows_provenance
from uqdm.bench.run.run_id import ensure_run_id
from uqdm.bench.run.score_store import PictureKey, ScoreStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_run import StoredCodec, StoredRun, open_run
from uqdm.bench.run.unscored import reasons_by_row
from uqdm.bench.schema import STATUS_OK
from uqdm.bench.scoring.extraction import ExtractorSpec
from uqdm.bench.scoring.feature_source import FeatureSource
from uqdm.bench.scoring.fill import write_rows
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.pictures import STREAMS_GONE, Scored, ScoreJob, Streams
from uqdm.bench.scoring.sets import Task, score_sets
from uqdm.files import sweep_temporaries
from uqdm.text import counted


@dataclass(frozen=True)
class Outcome:
    """Outcome of a scoring: pictures scored now, pictures with a decoding fault, and rows of set metrics."""

    scored: int
    faults: int
    first_fault: str | None
    sets: list[dict[str, Any]]


def score_run(
    run_dir: Path,
    options: ScoringOptions | None = None,
    progress: RunProgress | None = None,
    dataset: Images | None = None,
    features: FeatureSource | None = None,
) -> Outcome:
    """Computes the missing metrics of an evaluated run, and fills its rows.

    Args:
        run_dir: the run's folder.
        options: metrics and resources; all metrics by default.
        progress: shows the progress; lines on stderr if None.
        dataset: the originals; the data set of the evaluation is opened again if None.
        features: the source of features for set metrics; the extractors of this package if None.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` if rows or originals have changed. A metric that cannot run here
    is left out, with the reason in the column ``unscored``; a picture that its stream no longer decodes to becomes a
    failed row. Raises :class:`~uqdm.bench.progress.lock.FolderBusyError` if another process works in ``run_dir`` and
    ``options.wait`` is False.
    """
    options, progress = options or ScoringOptions(), progress or RunProgress()
    if not run_dir.is_dir():
        rows_files(run_dir)  # raises, and makes no folder
    with locked(run_dir, f"score {run_dir.name}", wait=options.wait, say=progress.say):
        return _score(open_run(run_dir, dataset), options, progress, features or FeatureSource())


def _score(run: StoredRun, options: ScoringOptions, progress: RunProgress, features: FeatureSource) -> Outcome:
    started = time.perf_counter()
    run_dir = run.store.run_dir
    sweep_temporaries(run_dir)
    scores_path(run_dir).unlink(missing_ok=True)  # its presence means that the rows are scored
    origin = provenance()
    progress.plan(f"score {run.dataset.name}")
    options.choice.fetch(progress.say)
    with contextlib.ExitStack() as stack:
        resources = functools.cache(lambda: stack.enter_context(ray_session(options.cpus, progress.end)))
        pictures = PictureScoring(run, options, progress)
        pictures.run(resources)
        _write_rows(run, pictures, options, origin)
        sets = _score_sets(run, options, progress, resources, features)
    _drop_streams(run, pictures.missing_scores, progress)
    faults = pictures.missing_scores.faults
    outcome = Outcome(pictures.scored, len(faults), next(iter(faults.values()), None), sets)
    write_outcome(run, outcome, origin, options, time.perf_counter() - started)
    return outcome


def _write_rows(run: StoredRun, pictures: PictureScoring, options: ScoringOptions, origin: dict[str, Any]) -> None:
    """Writes the rows of codecs with new or differently chosen scores; the rows of the others are complete."""
    written = rows_provenance(run.store.run_dir)
    scored = scored_origin(origin, options.choice)
    for codec in run.codecs:
        if codec.name in pictures.changed or not is_filled(written[codec.name], options.choice):
            write_rows(run, codec, pictures.missing_scores, scored)


class PictureScoring:
    """Plans and runs the scoring of single pictures, and collects its results."""

    def __init__(self, run: StoredRun, options: ScoringOptions, progress: RunProgress) -> None:
        self._run, self._progress = run, progress
        self._store = ScoreStore(run.store.run_dir)
        self._limits = options.limits
        self.missing_scores = MissingScores()
        self.scored = 0
        self.changed: set[str] = set()
        """Codecs with missing scores, whose rows are written again."""
        self.missing_scores.metric = options.choice.lacks(all_metrics())
        self._metrics = [metric for metric in all_metrics() if metric.name not in self.missing_scores.metric]

    def plan(self) -> dict[str, list[Shard]]:
        """The shards of each codec that lack scores; also announces them. Their pictures are not kept in memory."""
        todo = {codec.name: [one for one in codec.shards if self._job(one) is not None] for codec in self._run.codecs}
        self._announce(todo)
        return todo

    def jobs(self, shards: Iterable[Shard]) -> Iterator[ScoreJob]:
        """The jobs for shards, lazily generated."""
        for shard in shards:
            job = self._job(shard)
            if job is not None:
                yield from job.apart()

    def run(self, resources: Callable[[], Resources]) -> None:
        """Runs all jobs on Ray."""
        todo = self.plan()
        waiting = [codec for codec in self._run.codecs if todo[codec.name]]
        if not waiting:
            return
        load = functools.partial(read_originals, self._run.dataset)
        executor = Executor(resources(), load, self, self._limits)
        executor.run([self._group(group, todo) for group in sharing_workers(waiting)])

    def _group(self, codecs: Sequence[StoredCodec], todo: dict[str, list[Shard]]) -> Group:
        shards = sorted((shard for codec in codecs for shard in todo[codec.name]), key=lambda shard: shard.start)
        return Group(ScoreJob, self.jobs(shards), len(shards), codecs[0].uses_gpu)

    def tick(self) -> None:
        """See :class:`~uqdm.bench.execute.scheduler.Listener`."""
        self._progress.tick()

    def say(self, text: str) -> None:
        """See :class:`~uqdm.bench.execute.scheduler.Listener`."""
        self._progress.say(text)

    def _announce(self, todo: dict[str, list[Shard]]) -> None:
        left = 0
        for codec in self._run.codecs:
            lacking, total = (sum(len(shard.image_ids) for shard in of) for of in (todo[codec.name], codec.shards))
            self._progress.add(codec.name, codec.name, total, stored=total - lacking)
            left += lacking
        self._progress.say(
            f"score {self._run.dataset.name}: {counted(left, 'image x setting', 'images x settings')} without a score"
        )
        for name, reason in self.missing_scores.metric.items():
            self._progress.say(f"NOT SCORED {name}: {reason}")
        for broken in broken_metrics():
            self._progress.say(f"SKIPPED {broken}")

    def _job(self, shard: Shard) -> ScoreJob | None:
        sides = {picture_of(row): min(row["height"], row["width"]) for row in ok_rows(self._run.rows(shard))}
        lacking = [metric for metric in self._metrics if self._lacks(shard, metric, sides)]
        if not lacking:
            return None
        self.changed.add(shard.codec_setting.name)
        if not os.path.lexists(self._run.store.streams_path(shard)):
            for metric in lacking:
                self.missing_scores.shard[shard.key, metric.name] = STREAMS_GONE
            return None
        least = min(metric.smallest_side for metric in lacking)
        pictures = tuple(picture for picture, side in sides.items() if side >= least)
        return ScoreJob(shard, Streams(self._run.store, shard), pictures, tuple(lacking))

    def _lacks(self, shard: Shard, metric: Metric, sides: dict[PictureKey, int]) -> bool:
        wanted = {picture for picture, side in sides.items() if side >= metric.smallest_side}
        return bool(wanted) and not wanted <= self._store.read(shard, metric).keys()

    def done(self, job: ScoreJob, done: Done) -> None:
        """Stores the results of a job."""
        found: list[Scored] = done.result
        for metric in job.metrics:
            scores = [(one.picture, one.scores[metric.name]) for one in found if metric.name in one.scores]
            if scores:
                self._store.write(job.shard, metric, scores)
        for one in found:
            if one.fault is not None:
                self.missing_scores.faults[job.shard.key, one.picture] = one.fault
            for name, reason in one.reasons.items():
                self.missing_scores.picture[job.shard.key, one.picture, name] = reason
        self._progress.shard(shard_timing(job.shard, done))
        if not job.is_first:
            return
        faults = {one.picture.image_index for one in found if one.fault is not None}
        self.scored += sum(one.fault is None for one in found)
        self._progress.advance(job.shard.codec_setting.name, len(job.shard.image_ids), len(faults))


def _score_sets(
    run: StoredRun,
    options: ScoringOptions,
    progress: RunProgress,
    resources: Callable[[], Resources],
    features: FeatureSource,
) -> list[dict[str, Any]]:
    of_images = [metric for metric in all_set_metrics() if metric.takes == "features"]
    reasons = options.choice.lacks(of_images)
    folder = options.features or features_dir(run.store.run_dir)
    task = Task(
        run,
        [metric for metric in of_images if metric.name not in reasons],
        options.set_metrics,
        {name: ExtractorSpec(name, features.load, options.weights(name), options.batch) for name in extractor_names()},
        options.limits,
        lambda extractor: features.open_store(folder, extractor),
        resources,
        progress,
        options.choice.names or (),
    )
    return score_sets(task, reasons)


def _drop_streams(run: StoredRun, missing_scores: MissingScores, progress: RunProgress) -> None:
    """Removes scored streams that are not to be kept; shards with a fault keep theirs for inspection."""
    at_fault = {key for key, _ in missing_scores.faults}
    gone = [
        shard
        for codec in run.codecs
        for shard in codec.shards
        if not shard.keep_streams and shard.key not in at_fault and run.store.has_streams(shard)
    ]
    for shard in gone:
        run.store.drop_streams(shard)
    if gone:
        progress.say(f"score {run.dataset.name}: dropped the scored streams of {len(gone)} shards (they are not kept)")


def write_outcome(
    run: StoredRun, outcome: Outcome, origin: dict[str, Any], options: ScoringOptions, seconds: float
) -> None:
    """Writes ``scores.json``: the requested metrics, reasons for missing scores, and set metrics."""
    unscored: dict[str, Counter[str]] = {}  # by metric and reason: rows
    for rows in row_groups(run.store.run_dir, ["status", "unscored"]):
        for reasons in reasons_by_row(with_status(rows, STATUS_OK)["unscored"]):
            for name, reason in (reasons or {}).items():
                unscored.setdefault(name, Counter())[reason] += 1
    content = {
        "run_id": ensure_run_id(run.store.run_dir),
        "dataset": {"name": run.dataset.name, "fingerprint": run.dataset.fingerprint},
        "metrics": {m.name: m.version for m in [*all_metrics(), *all_set_metrics()] if options.choice.asks_for(m.name)},
        "selection": asdict(options.set_metrics),
        "unscored": {name: dict(counts.most_common()) for name, counts in unscored.items()},
        "faults": {"pictures": outcome.faults, "first": outcome.first_fault},
        "sets": outcome.sets,
        "seconds": round(seconds, 3),
        "provenance": origin,
    }
    write_stored(scores_path(run.store.run_dir), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
