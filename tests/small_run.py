"""Makes a run's folder with real measurements in this process, as evaluation and scoring do, without Ray."""

from __future__ import annotations

import functools
import io
from pathlib import Path

from uqdm.bench.datasets import Images
from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.finish import finish_codec
from uqdm.bench.evaluation.mean_targets import with_settings_found
from uqdm.bench.evaluation.measure_job import MeasureJob
from uqdm.bench.evaluation.original_images import changes_of_originals
from uqdm.bench.evaluation.picture_scores import write_scores
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.worker import Worker
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.bench.run.filled_rows import scored_origin
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.stored_run import open_run
from uqdm.bench.scoring.fill import write_rows
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.run import Outcome, PictureScoring, write_outcome

SHARD_SIZE = 3


def measure_run(run_dir: Path, dataset: Images, *codecs: str) -> Path:
    """Measures and scores codecs, each ``NAME`` or ``NAME:key=value``, and returns ``run_dir``."""
    evaluate_here(run_dir, dataset, *codecs)
    score_here(run_dir, dataset)
    return run_dir


def score_here(run_dir: Path, dataset: Images, options: ScoringOptions | None = None) -> None:
    """Scores pictures one by one; metrics of sets are left out."""
    run, options, origin = open_run(run_dir, dataset), options or ScoringOptions(), provenance()
    scored = scored_origin(origin, options.choice)
    scoring = PictureScoring(run, options, RunProgress(io.StringIO()))
    plan, worker = scoring.plan(), Worker()
    for codec in run.codecs:
        for job in scoring.jobs(plan[codec.name]):
            images = [dataset.load(index) for index in range(job.shard.start, job.shard.stop)]
            scoring.done(job, Done(job.prepared().run(worker, images), 0.0, ""))
        write_rows(run, codec, scoring.missing_scores, scored)
    write_outcome(run, Outcome(scoring.scored, 0, None, []), origin, options, 0.0)


def evaluate_here(
    run_dir: Path,
    dataset: Images,
    *codecs: str,
    metrics: MetricChoice | None = None,
    shard_size: int = SHARD_SIZE,
) -> None:
    """Measures codecs, and computes ``metrics``; if None, their rows are not scored yet."""
    context = Context(dataset, ShardStore(run_dir), provenance(), shard_size, metrics=metrics)
    worker = Worker()
    measure = functools.partial(measure_plan, worker)
    asked = resolve([parse_request(text) for text in codecs])
    for name, codec_settings in with_settings_found(context, asked, measure, lambda text: None).items():
        plan = CodecPlan(context, name, codec_settings)
        measure(context, plan)
        finish_codec(context, plan)


def measure_plan(worker: Worker, context: Context, plan: CodecPlan) -> None:
    """Measures the shards of a plan that are missing, and stores them."""
    own = () if context.metrics is None else context.metrics.own()
    for shard in plan.missing():
        images = [context.dataset.load(index) for index in range(shard.start, shard.stop)]
        changes = changes_of_originals(context.dataset, range(shard.start, shard.stop))
        finished = MeasureJob(shard, context.origin, own, changes).run(worker, images)
        write_scores(ScoreStore(context.store.run_dir), shard, finished.scores)
        context.store.write(shard, finished.rows, finished.streams)
        plan.mark_stored(shard, finished.counts)
