"""Evaluates codecs on a data set: plans shards, measures the missing ones, and gathers each codec's rows.

Rates and times are measured here, and metrics of single images are computed as soon as a picture is decoded. Metrics
that are added later are computed from the streams (see :mod:`uqdm.bench.scoring`).

:mod:`uqdm.bench.run.layout` describes the files that an evaluation writes into the run's folder.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from uqdm.bench.datasets import Images
from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.finish import CodecOutcome, finish_codec, finish_run, prune_others
from uqdm.bench.evaluation.hidden_results import finished_manifests, hidden_results, named_settings
from uqdm.bench.evaluation.mean_targets import has_mean_targets, with_settings_found
from uqdm.bench.evaluation.measure_job import MeasuredShard, MeasureJob
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.evaluation.original_images import changes_notes, changes_of_originals, read_originals
from uqdm.bench.evaluation.picture_scores import write_scores
from uqdm.bench.evaluation.shard_job import shard_timing
from uqdm.bench.evaluation.timing_rounds import TimingRounds
from uqdm.bench.evaluation.worker_sharing import sharing_workers
from uqdm.bench.execute.executor import Executor
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.ray_session import Resources, ray_kept, ray_session
from uqdm.bench.execute.scheduler import Group
from uqdm.bench.progress.lock import locked
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.merged import check_not_merged
from uqdm.bench.run.originals import keep_originals
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stage_options import KeepOptions
from uqdm.files import sweep_temporaries
from uqdm.text import counted


def evaluate(
    dataset: Images,
    codecs: Mapping[str, Sequence[CodecSetting]],
    run_dir: Path,
    options: EvaluationOptions | None = None,
    progress: RunProgress | None = None,
) -> list[CodecOutcome]:
    """Measures every codec on every image, and returns the outcome of each codec.

    Args:
        dataset: the images.
        codecs: the settings of each codec, from :func:`uqdm.bench.run.codec_settings.resolve`.
        run_dir: the run's folder; shards that it has already are not measured again.
        options: cores, shard size and files to keep; the defaults if None.
        progress: shows the progress; lines on stderr if None.

    A codec that fails on an image, kills its worker or takes too long gives a failed row; a codec that cannot run here
    gives a skipped row for each setting. Neither stops the others. Raises
    :class:`~uqdm.bench.progress.lock.FolderBusyError` if another process works in ``run_dir`` and ``options.wait`` is
    False.
    """
    options, progress = options or EvaluationOptions(), progress or RunProgress()
    check_not_merged(run_dir, "evaluate into")
    one_ray = ray_kept() if has_mean_targets(codecs) else contextlib.nullcontext()  # for the searches and the rest
    with locked(run_dir, f"evaluate {dataset.name}", wait=options.wait, say=progress.say), one_ray:
        return _evaluate(dataset, codecs, run_dir, options, progress)


def _evaluate(
    dataset: Images,
    codecs: Mapping[str, Sequence[CodecSetting]],
    run_dir: Path,
    options: EvaluationOptions,
    progress: RunProgress,
) -> list[CodecOutcome]:
    stopwatch = _Stopwatch()
    _warn_of_hidden(dataset, codecs, run_dir, options, progress)
    progress.plan(f"evaluate {dataset.name}")
    sweep_temporaries(run_dir)
    store = ShardStore(run_dir)
    kept = KeepOptions(options.keep_streams, options.keep_reconstructions)
    context = Context(dataset, store, provenance(), options.shard_size, kept, options.choice)
    if has_mean_targets(codecs):
        codecs = _settings_found(context, codecs, options, progress)
        stopwatch.lap("search")
    plans = [CodecPlan(context, name, codec_settings) for name, codec_settings in codecs.items()]
    for plan in plans:
        plan.find_stored(retry_failed=options.retry_failed)
    _announce(plans, dataset, progress)
    waiting = [plan for plan in plans if plan.n_missing]
    if waiting and context.metrics is not None:
        context.metrics.fetch(progress.say)
    outcomes = [_finish(context, plan, progress) for plan in plans if not plan.n_missing]
    rounds = TimingRounds.of(context, plans, options)
    stopwatch.lap("plan")
    if waiting or rounds.shards:
        with ray_session(options.cpus, on_loss=progress.end) as resources:
            stopwatch.lap("ray_start")
            outcomes += _measure(context, waiting, resources, options.limits, progress)
            stopwatch.lap("work")
            if rounds.shards:
                rounds.run(resources, options, progress)
                stopwatch.lap("timing")
        stopwatch.lap("ray_stop")
    if rounds.shards:
        outcomes = [finish_codec(context, plan) for plan in plans]  # the rows get their times
    if options.prune:
        prune_others(run_dir, keep=list(codecs))
    if kept.streams or kept.reconstructions:
        keep_originals(run_dir, dataset)
    order = list(codecs)
    outcomes.sort(key=lambda outcome: order.index(outcome.codec))
    finish_run(context, outcomes, stopwatch.seconds, progress.slowest.to_json())
    progress.say_slowest()
    return outcomes


def _warn_of_hidden(
    dataset: Images,
    codecs: Mapping[str, Sequence[CodecSetting]],
    run_dir: Path,
    options: EvaluationOptions,
    progress: RunProgress,
) -> None:
    settings = {name: named_settings(listed) for name, listed in codecs.items()}
    for warning in hidden_results(finished_manifests(run_dir), dataset, settings, prune=options.prune):
        progress.say(warning)


class _Stopwatch:
    """Wall seconds of each phase, which separate fixed costs from work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase], self._last = round(now - self._last, 3), now


def _announce(plans: Sequence[CodecPlan], dataset: Images, progress: RunProgress) -> None:
    totals = Counter[str]()
    for plan in plans:
        stored = plan.totals().total()
        progress.add(plan.name, plan.title, plan.n_images, stored=stored)
        totals.update(total=plan.n_images, stored=stored, settings=len(plan.codec_settings))
    progress.say(
        f"evaluate {dataset.name}: {counted(len(plans), 'codec')}, {counted(totals['settings'], 'setting')}, "
        f"{counted(len(dataset), 'image')}; "
        f"{totals['stored']:,} of {totals['total']:,} images x settings are done already"
    )
    for note in changes_notes(dataset):
        progress.say(f"note: {note}")
    for plan in plans:
        for reason in dict.fromkeys(
            codec_setting.missing for codec_setting in plan.codec_settings if codec_setting.missing
        ):
            progress.say(f"SKIPPED {plan.name}: {reason}")


def _settings_found(
    context: Context, codecs: Mapping[str, Sequence[CodecSetting]], options: EvaluationOptions, progress: RunProgress
) -> dict[str, list[CodecSetting]]:
    """The settings, of which those with a target for the mean are found by measuring."""

    def measure(searched: Context, plan: CodecPlan) -> None:
        progress.add(plan.name, f"{plan.name} (search)", plan.n_images, stored=plan.totals().total())
        with ray_session(options.cpus, on_loss=progress.end) as resources:
            _measure(searched, [plan], resources, options.limits, progress, finish=False)

    return with_settings_found(context, codecs, measure, progress.say)


def _measure(
    context: Context,
    plans: Sequence[CodecPlan],
    resources: Resources,
    limits: WorkerLimits,
    progress: RunProgress,
    *,
    finish: bool = True,
) -> list[CodecOutcome]:
    """Measures the missing shards of plans; with ``finish``, writes the rows of each codec once it has all."""
    collector = _Collector(context, plans, progress, finish)
    groups = [_group(context, group) for group in sharing_workers(plans)]
    load = functools.partial(read_originals, context.dataset)
    Executor(resources, load, collector, limits).run(groups)
    return collector.outcomes


def _group(context: Context, plans: Sequence[CodecPlan]) -> Group:
    shards = itertools.chain.from_iterable(plan.missing() for plan in plans)
    n_jobs = sum(plan.n_missing for plan in plans)
    metrics = () if context.metrics is None else context.metrics.own()
    jobs = (MeasureJob(shard, context.origin, metrics, _changes(context, shard)) for shard in shards)
    return Group(MeasureJob, jobs, n_jobs, plans[0].uses_gpu)


def _changes(context: Context, shard: Shard) -> dict[int, str]:
    return changes_of_originals(context.dataset, range(shard.start, shard.stop))


class _Collector:
    """Stores shards as they come in, and (if ``finish``) finishes a codec with its last one."""

    def __init__(self, context: Context, plans: Sequence[CodecPlan], progress: RunProgress, finish: bool) -> None:
        self._finishes = finish
        self._context = context
        self._scores = ScoreStore(context.store.run_dir)
        self._plans = {plan.name: plan for plan in plans}
        self._left = {plan.name: plan.n_missing for plan in plans}
        self._progress = progress
        self.tick, self.say = progress.tick, progress.say
        self.outcomes: list[CodecOutcome] = []

    def done(self, work: MeasureJob, done: Done) -> None:
        """Stores one shard."""
        plan = self._plans[work.shard.codec_setting.name]
        finished: MeasuredShard = done.result
        write_scores(self._scores, work.shard, finished.scores)
        self._context.store.write(work.shard, finished.rows, finished.streams, finished.reconstructions)
        plan.mark_stored(work.shard, finished.counts)
        self._progress.shard(shard_timing(work.shard, done))
        self._progress.advance(plan.name, finished.counts.total(), finished.counts["failed"])
        self._left[plan.name] -= 1
        if self._left[plan.name] == 0 and self._finishes:
            self.outcomes.append(_finish(self._context, plan, self._progress))


def _finish(context: Context, plan: CodecPlan, progress: RunProgress) -> CodecOutcome:
    outcome = finish_codec(context, plan)
    if plan.n_shards:  # skipped codecs were listed at the start
        progress.say(f"evaluate {context.dataset.name}: {outcome}")
    return outcome
