"""Evaluates codecs on a data set: plans shards, measures those that are missing, gathers each codec's rows.

Rates and times are measured here; metrics come afterwards, from the streams (see :mod:`uqdm.bench.scoring`).

Below a run's folder: ``shards/`` (rows, the store that a resumed run reads), ``streams/`` (the coded files; they go
when they have been scored, if they are not to be kept),
``per_image/<codec>.parquet`` (the rows of a finished codec), ``manifests/<codec>.json`` (what a finished codec writes
last) and ``evaluation.json`` (what a finished evaluation writes last).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uqdm.bench.fanout import ActorPool, Fanout, ImageCache, TaskPool
from uqdm.bench.files import sweep_temporaries
from uqdm.bench.gather import Context, Finding, finish_codec, finish_run, prune_others
from uqdm.bench.lock import locked
from uqdm.bench.progress import Progress
from uqdm.bench.provenance import provenance
from uqdm.bench.ray_session import Resources, ray_session
from uqdm.bench.requests import Candidate
from uqdm.bench.shards import Images, Shard, ShardStore, split
from uqdm.bench.worker import Finished, Work

OBJECT_STORE_SHARE = 1 / 3
"""Part of Ray's object store that images under way, and again images kept for the next setting, may fill."""


@dataclass(frozen=True)
class Options:
    """How to evaluate. None of these changes a number, save that other shard sizes make other shards."""

    cpus: int | None = None
    shard_size: int = 50
    keep_streams: bool = True
    retry_failed: bool = False
    prune: bool = False
    wait: bool = False

    def __post_init__(self) -> None:
        if self.shard_size < 1 or (self.cpus is not None and self.cpus < 1):
            raise ValueError(f"shard size and cpus must be at least 1, got {self.shard_size} and {self.cpus}")


@dataclass
class _CodecPlan:
    """The shards of one codec, and what is known of each: images by status, None where it is still to be done."""

    name: str
    candidates: Sequence[Candidate]
    shards: list[Shard]
    known: dict[str, Counter[str] | None] = field(default_factory=dict)

    def missing(self) -> list[Shard]:
        """Shards to do: range by range, so that images are loaded once; by setting where a setting is a model."""
        todo = [shard for shard in self.shards if self.known[shard.key] is None]
        return todo if self.holds_model else sorted(todo, key=lambda shard: shard.start)

    @property
    def title(self) -> str:
        return f"{self.name} ({len(self.candidates)} setting{'s' if len(self.candidates) != 1 else ''})"

    @property
    def holds_model(self) -> bool:
        return any(candidate.holds_model for candidate in self.candidates)


def evaluate(
    dataset: Images,
    codecs: Mapping[str, Sequence[Candidate]],
    run_dir: Path,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Measures every codec on every image, and returns what was found for each codec.

    Args:
        dataset: the images.
        codecs: the settings of each codec, from :func:`uqdm.bench.requests.resolve`.
        run_dir: the run's folder; what it holds already is used, not done again.
        options: cores, shard size, what to keep; the defaults if None.
        progress: told what happens; lines on stderr if None.

    A codec that fails on an image, or kills its worker, gives a failed row; a codec that cannot run here gives a
    skipped row for each setting. Neither stops the others. Raises :class:`~uqdm.bench.lock.FolderBusyError` where
    another process works in ``run_dir``, unless it is to be waited for.
    """
    options, progress = options or Options(), progress or Progress()
    with locked(run_dir, f"evaluate {dataset.name}", wait=options.wait, say=progress.say):
        return _evaluate(dataset, codecs, run_dir, options, progress)


def _evaluate(
    dataset: Images, codecs: Mapping[str, Sequence[Candidate]], run_dir: Path, options: Options, progress: Progress
) -> list[Finding]:
    stopwatch = _Stopwatch()
    sweep_temporaries(run_dir)
    store = ShardStore(run_dir)
    context = Context(dataset, store, provenance(), options.shard_size, options.keep_streams)
    plans = [_plan(context, name, candidates, options) for name, candidates in codecs.items()]
    _announce(plans, dataset, progress)
    findings = [_finish(context, plan, progress) for plan in plans if not plan.missing()]
    waiting = [plan for plan in plans if plan.missing()]
    stopwatch.lap("plan")
    if waiting:
        with ray_session(options.cpus) as resources:
            stopwatch.lap("ray_start")
            findings += _measure(context, waiting, resources, progress)
            stopwatch.lap("work")
        stopwatch.lap("ray_stop")
    if options.prune:
        prune_others(run_dir, keep=list(codecs))
    order = list(codecs)
    findings.sort(key=lambda finding: order.index(finding.codec))
    finish_run(context, findings, stopwatch.seconds)
    return findings


class _Stopwatch:
    """Wall seconds of each phase, so that fixed cost and work can be told apart."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase], self._last = round(now - self._last, 3), now


def _plan(context: Context, name: str, candidates: Sequence[Candidate], options: Options) -> _CodecPlan:
    runnable = [candidate for candidate in candidates if candidate.missing is None]
    shards = [
        shard
        for candidate in runnable
        for shard in split(context.dataset, candidate, context.shard_size, keep_streams=context.keep_streams)
    ]
    plan = _CodecPlan(name, candidates, shards)
    for shard in shards:
        counts = context.store.counts(shard)
        plan.known[shard.key] = None if options.retry_failed and counts and counts["failed"] else counts
    return plan


def _announce(plans: Sequence[_CodecPlan], dataset: Images, progress: Progress) -> None:
    progress.plan(f"evaluate {dataset.name}")
    totals = Counter[str]()
    for plan in plans:
        total, left = (sum(len(shard.image_ids) for shard in shards) for shards in (plan.shards, plan.missing()))
        progress.add(plan.name, plan.title, total, stored=total - left)
        totals.update(total=total, left=left, settings=len(plan.candidates))
    progress.say(
        f"evaluate {dataset.name}: {len(plans)} codecs, {totals['settings']} settings, {len(dataset)} images; "
        f"{totals['total'] - totals['left']:,} of {totals['total']:,} images x settings are done already"
    )
    for plan in plans:
        for reason in dict.fromkeys(candidate.missing for candidate in plan.candidates if candidate.missing):
            progress.say(f"SKIPPED {plan.name}: {reason}")


def _measure(context: Context, plans: Sequence[_CodecPlan], resources: Resources, progress: Progress) -> list[Finding]:
    """Plain codecs share one queue, so that no core waits for the end of each; then each codec that holds a model."""
    budget_bytes = int(resources.object_store_bytes * OBJECT_STORE_SHARE)
    cache = ImageCache(context.dataset, budget_bytes)
    plain = [plan for plan in plans if not plan.holds_model]
    groups = [plain] if plain else []
    groups += [[plan] for plan in plans if plan.holds_model]
    findings = []
    for group in groups:
        shards = sum(len(plan.missing()) for plan in group)
        pool = ActorPool(resources, shards) if group[0].holds_model else TaskPool(resources)
        collector = _Collector(context, group, progress)
        try:
            works = [Work(shard, context.origin) for plan in group for shard in plan.missing()]
            Fanout(pool, cache, budget_bytes, collector.done, progress.tick).run(works)
        finally:
            pool.close()
        findings += collector.findings
    return findings


class _Collector:
    """Stores shards as they come in, and finishes a codec with its last one."""

    def __init__(self, context: Context, plans: Sequence[_CodecPlan], progress: Progress) -> None:
        self._context = context
        self._plans = {plan.name: plan for plan in plans}
        self._left = {plan.name: len(plan.missing()) for plan in plans}
        self._progress = progress
        self.findings: list[Finding] = []
        progress.begin(plans[0].name)

    def done(self, work: Work, finished: Finished) -> None:
        """Stores one shard."""
        plan = self._plans[work.shard.candidate.name]
        self._context.store.write(work.shard, finished.rows, finished.streams)
        plan.known[work.shard.key] = finished.counts
        self._progress.advance(plan.name, finished.counts.total(), finished.counts["failed"])
        self._left[plan.name] -= 1
        if self._left[plan.name] == 0:
            self.findings.append(_finish(self._context, plan, self._progress))


def _finish(context: Context, plan: _CodecPlan, progress: Progress) -> Finding:
    finding = finish_codec(context, plan.name, plan.candidates, plan.shards, plan.known)
    if plan.shards:  # that a codec was skipped has been said at the start
        progress.say(f"evaluate {context.dataset.name}: {finding}")
    return finding
