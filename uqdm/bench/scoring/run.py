"""Scores a run: finds what is missing, computes it on Ray, fills the rows, and writes ``scores.json`` last."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ray

from uqdm.bench.datasets import Images
from uqdm.bench.execute.executor import Fanout
from uqdm.bench.execute.limits import Limits
from uqdm.bench.execute.ray_session import Resources, ray_session
from uqdm.bench.execute.scheduler import Group, sharing_workers
from uqdm.bench.execute.worker import Done
from uqdm.bench.file_identity import write_stored
from uqdm.bench.metrics import Metric, SetMetric, all_metrics, all_set_metrics, broken_metrics, check_names, lack_of
from uqdm.bench.progress.lock import locked
from uqdm.bench.progress.progress import Progress
from uqdm.bench.run.layout import features_dir, scores_path
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.row_batches import row_groups, with_status
from uqdm.bench.run.rows_reader import rows_files
from uqdm.bench.run.run_id import ensure_run_id
from uqdm.bench.run.score_store import Picture, ScoreStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_run import StoredCodec, StoredRun, open_run
from uqdm.bench.schema import STATUS_OK
from uqdm.bench.scoring.extraction import Extractor, Recipe, Store
from uqdm.bench.scoring.fill import MissingScores, ok_rows, picture_of, write_rows
from uqdm.bench.scoring.pictures import STREAMS_GONE, Scored, ScoreJob, Streams
from uqdm.bench.scoring.selection import Selection
from uqdm.bench.scoring.sets import Task, score_sets
from uqdm.files import sweep_temporaries
from uqdm.plugins import contained
from uqdm.text import error_line

ALWAYS = ("mse", "psnr_db")
"""Metrics that are computed whether asked for or not: summaries need them, and they cost next to nothing."""


def open_features(folder: Path, extractor: Extractor) -> Store:
    """The store of features below ``folder``."""
    store: Store = importlib.import_module("uqdm.bench.features.store").FeatureStore(folder, extractor.sha256)
    return store


@dataclass(frozen=True)
class Options:
    """What to score and how. ``metrics`` are names, None for all; ``features`` is the folder of the store of features.

    None of the others changes a number, save that ``selection`` says which pictures metrics of sets are computed on.
    """

    metrics: tuple[str, ...] | None = None
    selection: Selection = field(default_factory=Selection)
    features: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    open_store: Callable[[Path, Extractor], Store] = open_features
    cpus: int | None = None
    limits: Limits = field(default_factory=Limits)
    wait: bool = False

    def __post_init__(self) -> None:
        if self.recipe.batch < 1 or (self.cpus is not None and self.cpus < 1):
            raise ValueError(f"batch and cpus must be at least 1, got {self.recipe.batch} and {self.cpus}")
        check_names(self.metrics or ())

    def asks_for(self, name: str) -> bool:
        """Whether the metric of that name is to be computed."""
        return self.metrics is None or name in self.metrics or name in ALWAYS


@dataclass(frozen=True)
class Outcome:
    """What a scoring came to: pictures scored now, pictures that could not be decoded as they were, rows of sets."""

    scored: int
    faults: int
    first_fault: str | None
    sets: list[dict[str, Any]]


def score_run(
    run_dir: Path, options: Options | None = None, progress: Progress | None = None, dataset: Images | None = None
) -> Outcome:
    """Computes what metrics are missing of an evaluated run, and fills its rows.

    Args:
        run_dir: the run's folder.
        options: what to score and how; everything by default.
        progress: told what happens; lines on stderr if None.
        dataset: the originals; opened again as they were evaluated if None.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` where rows or originals are not what they were. A metric that
    cannot run here is left out and said so in the column ``unscored``; a picture that its stream no longer decodes to
    becomes a failed row. Raises :class:`~uqdm.bench.progress.lock.FolderBusyError` where another process works in
    ``run_dir``, unless it is to be waited for.
    """
    options, progress = options or Options(), progress or Progress()
    if not run_dir.is_dir():
        rows_files(run_dir)  # raises, and makes no folder
    with locked(run_dir, f"score {run_dir.name}", wait=options.wait, say=progress.say):
        return _score(open_run(run_dir, dataset), options, progress)


def _score(run: StoredRun, options: Options, progress: Progress) -> Outcome:
    started = time.perf_counter()
    run_dir = run.store.run_dir
    sweep_temporaries(run_dir)
    scores_path(run_dir).unlink(missing_ok=True)  # it says that the rows are scored
    origin = provenance()
    progress.plan(f"score {run.dataset.name}")
    with contextlib.ExitStack() as stack:
        resources = functools.cache(lambda: stack.enter_context(ray_session(options.cpus, progress.end)))
        pictures = PictureScoring(run, options, progress)
        pictures.run(resources)
        for codec in run.codecs:
            write_rows(run, codec, pictures.missing_scores, origin)
        sets = _score_sets(run, options, progress, resources)
    _drop_streams(run, pictures.missing_scores, progress)
    faults = pictures.missing_scores.faults
    outcome = Outcome(pictures.scored, len(faults), next(iter(faults.values()), None), sets)
    write_outcome(run, outcome, origin, options, time.perf_counter() - started)
    return outcome


class PictureScoring:
    """Metrics of single pictures: the plan, and what comes of it."""

    def __init__(self, run: StoredRun, options: Options, progress: Progress) -> None:
        self._run, self._progress = run, progress
        self._store = ScoreStore(run.store.run_dir)
        self._limits = options.limits
        self.missing_scores = MissingScores()
        self.scored = 0
        self._metrics = [metric for metric in all_metrics() if self._runs(metric, options)]

    def _runs(self, metric: Metric, options: Options) -> bool:
        missing = _lack(metric, options)
        if missing is not None:
            self.missing_scores.metric[metric.name] = missing
        return missing is None

    def plan(self) -> dict[str, list[Shard]]:
        """The shards of each codec that lack scores; says so. Of the pictures in them nothing is kept."""
        todo = {codec.name: [one for one in codec.shards if self._job(one) is not None] for codec in self._run.codecs}
        self._announce(todo)
        return todo

    def jobs(self, shards: Iterable[Shard]) -> Iterator[ScoreJob]:
        """What is to be done on shards, made as it is needed."""
        for shard in shards:
            job = self._job(shard)
            if job is not None:
                yield from job.apart()

    def run(self, resources: Callable[[], Resources]) -> None:
        """Does all jobs on Ray."""
        todo = self.plan()
        waiting = [codec for codec in self._run.codecs if todo[codec.name]]
        if not waiting:
            return
        fanout = Fanout(resources(), self._run.dataset, self, self._limits)
        fanout.run([self._group(group, todo) for group in sharing_workers(waiting)])

    def _group(self, codecs: Sequence[StoredCodec], todo: dict[str, list[Shard]]) -> Group:
        shards = sorted((shard for codec in codecs for shard in todo[codec.name]), key=lambda shard: shard.start)
        return Group(self.jobs(shards), len(shards), codecs[0].uses_gpu)

    def tick(self) -> None:
        """See :class:`uqdm.bench.execute.executor.Listener`."""
        self._progress.tick()

    def say(self, text: str) -> None:
        """See :class:`uqdm.bench.execute.executor.Listener`."""
        self._progress.say(text)

    def _announce(self, todo: dict[str, list[Shard]]) -> None:
        left = 0
        for codec in self._run.codecs:
            lacking, total = (sum(len(shard.image_ids) for shard in of) for of in (todo[codec.name], codec.shards))
            self._progress.add(codec.name, codec.name, total, stored=total - lacking)
            left += lacking
        self._progress.say(f"score {self._run.dataset.name}: {left:,} images x settings lack a score")
        for name, reason in self.missing_scores.metric.items():
            self._progress.say(f"NOT SCORED {name}: {reason}")
        for broken in broken_metrics():
            self._progress.say(f"SKIPPED {broken}")

    def _job(self, shard: Shard) -> ScoreJob | None:
        sides = {picture_of(row): min(row["height"], row["width"]) for row in ok_rows(self._run.rows(shard))}
        lacking = [metric for metric in self._metrics if self._lacks(shard, metric, sides)]
        if not lacking:
            return None
        if not os.path.lexists(self._run.store.streams_path(shard)):
            for metric in lacking:
                self.missing_scores.shard[shard.key, metric.name] = STREAMS_GONE
            return None
        least = min(metric.smallest_side for metric in lacking)
        pictures = tuple(picture for picture, side in sides.items() if side >= least)
        return ScoreJob(shard, Streams(self._run.store, shard), pictures, tuple(lacking))

    def _lacks(self, shard: Shard, metric: Metric, sides: dict[Picture, int]) -> bool:
        wanted = {picture for picture, side in sides.items() if side >= metric.smallest_side}
        return bool(wanted) and not wanted <= self._store.read(shard, metric).keys()

    def done(self, job: ScoreJob, done: Done) -> None:
        """Keeps what a job found."""
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
        self._progress.shard(done.timing(job.shard))
        if not job.is_first:
            return
        faults = {one.picture.image_index for one in found if one.fault is not None}
        self.scored += sum(one.fault is None for one in found)
        self._progress.advance(job.shard.codec_setting.name, len(job.shard.image_ids), len(faults))


def _score_sets(
    run: StoredRun, options: Options, progress: Progress, resources: Callable[[], Resources]
) -> list[dict[str, Any]]:
    of_images = [metric for metric in all_set_metrics() if metric.takes == "features"]
    lacking = {metric.name: _lack(metric, options) for metric in of_images}
    reasons = {name: reason for name, reason in lacking.items() if reason is not None}
    folder = options.features or features_dir(run.store.run_dir)
    task = Task(
        run,
        [metric for metric in of_images if metric.name not in reasons],
        options.selection,
        options.recipe,
        options.limits,
        lambda extractor: options.open_store(folder, extractor),
        resources,
        progress,
    )
    return score_sets(task, reasons)


def _lack(metric: Metric | SetMetric, options: Options) -> str | None:
    """Why a metric is not computed at all; None if it is."""
    if not options.asks_for(metric.name):
        return "not asked for"
    return lack_of(metric) or _cannot_travel(metric)


def _cannot_travel(metric: Metric | SetMetric) -> str | None:
    """Why a metric cannot be sent to workers; None if it can."""
    try:
        with contained():
            ray.cloudpickle.dumps(metric)
    except Exception as error:
        return f"it cannot be sent to workers: {error_line(error)}"
    return None


def _drop_streams(run: StoredRun, missing_scores: MissingScores, progress: Progress) -> None:
    """Removes scored streams that are not to be kept; those with a fault stay, to be looked into."""
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


def write_outcome(run: StoredRun, outcome: Outcome, origin: dict[str, Any], options: Options, seconds: float) -> None:
    """Writes ``scores.json``: what was asked for, what could not be scored, and the metrics of sets."""
    reasons: Counter[str] = Counter()
    for rows in row_groups(run.store.run_dir, ["status", "unscored"]):
        reasons.update(text for text in with_status(rows, STATUS_OK)["unscored"].to_pylist() if text is not None)
    content = {
        "run_id": ensure_run_id(run.store.run_dir),
        "dataset": {"name": run.dataset.name, "fingerprint": run.dataset.fingerprint},
        "metrics": {m.name: m.version for m in [*all_metrics(), *all_set_metrics()] if options.asks_for(m.name)},
        "selection": asdict(options.selection),
        "unscored": dict(reasons.most_common()),
        "faults": {"pictures": outcome.faults, "first": outcome.first_fault},
        "sets": outcome.sets,
        "seconds": round(seconds, 3),
        "provenance": origin,
    }
    write_stored(scores_path(run.store.run_dir), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
