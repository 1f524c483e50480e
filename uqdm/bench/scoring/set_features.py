"""Computes the features that set metrics lack, in jobs of a few seconds, and stores them as they come."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from uqdm.bench.datasets import Images
from uqdm.bench.evaluation.original_images import read_originals
from uqdm.bench.execute.executor import Executor
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.ray_session import Resources
from uqdm.bench.execute.scheduler import Group
from uqdm.bench.lazy_ids import IdRange
from uqdm.bench.metrics import SetMetric
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_run import StoredRun
from uqdm.bench.scoring.extraction import (
    PASSES_AFTER_MODEL,
    PASSES_AT_ONCE,
    ExtractorSpec,
    FeatureJob,
    FeatureKey,
    FeatureRequest,
    Features,
    OriginalsJob,
    Store,
    split_jobs,
)
from uqdm.bench.scoring.pictures import Streams
from uqdm.bench.scoring.set_lines import ORIGINALS, SetLine

_PART = "features"  # name in the progress
UNIT = "network passes"
"""What the progress counts: a picture takes one, or one for each of its patches."""


class Absent(NamedTuple):
    """A picture with features that are not stored, and the shard that it is decoded from; None for an original."""

    shard: Shard | None
    request: FeatureRequest


class FeatureStage:
    """Computes features of a run's pictures on Ray; ``faults`` has the reasons for those that failed, by key.

    ``extractor_specs`` and ``stores`` have what each extractor is made from and the store of its features, by its name.
    """

    def __init__(
        self,
        run: StoredRun,
        extractor_specs: Mapping[str, ExtractorSpec],
        stores: Mapping[str, Store],
        progress: RunProgress,
    ) -> None:
        self._run, self._specs, self._stores, self._progress = run, extractor_specs, stores, progress
        self.tick, self.say = progress.tick, progress.say
        self.faults: dict[FeatureKey, str] = {}

    def run(self, todo: Iterable[tuple[SetLine, SetMetric]], resources: Resources, limits: WorkerLimits) -> None:
        """Computes the features that lines need for metrics and that are not stored yet, each once."""
        jobs = list(self._jobs(absent_features(todo, self._stores)))
        if not jobs:
            return
        total = sum(job.n_passes for job in jobs)
        self._progress.add(_PART, "features of pictures", total, stored=0, unit=UNIT)
        load = functools.partial(read_originals, self._run.dataset)
        Executor(resources, load, self, limits).run([Group(FeatureJob, jobs, len(jobs), uses_gpu=True)])

    def done(self, job: FeatureJob, done: Done) -> None:
        """See :class:`~uqdm.bench.execute.scheduler.Listener`; features are on disk when it returns."""
        features: Features = done.result
        for (extractor, key), value in features.items():
            if isinstance(value, str):
                self.faults[extractor, key] = value
            else:
                self._stores[extractor].put(key, value)
        self._progress.begin(_PART, seconds_ago=done.seconds)
        self._progress.advance(_PART, job.n_passes)

    def _jobs(self, absent: Iterable[Absent]) -> Iterator[FeatureJob]:
        by_shard: dict[str | None, tuple[Shard | None, list[FeatureRequest]]] = {}
        for shard, request in absent:
            key = shard.key if shard else None
            by_shard.setdefault(key, (shard, []))[1].append(request)
        for shard, requests in by_shard.values():
            yield from self._shard_jobs(shard, tuple(requests))

    def _shard_jobs(self, shard: Shard | None, requests: tuple[FeatureRequest, ...]) -> list[FeatureJob]:
        if shard is None:
            whole = _all_originals(self._run.dataset)
            source = Streams(self._run.store, whole)
            return split_jobs(OriginalsJob(whole, source, requests, self._specs, self._run.dataset))
        most = PASSES_AFTER_MODEL if shard.codec_setting.holds_model else PASSES_AT_ONCE
        return split_jobs(FeatureJob(shard, Streams(self._run.store, shard), requests, self._specs), most)


def absent_features(todo: Iterable[tuple[SetLine, SetMetric]], stores: Mapping[str, Store]) -> Iterator[Absent]:
    """The features that are not stored, each once; originals come before pictures, also before equal ones."""
    pairs = list(todo)
    seen: set[FeatureKey] = set()
    for side in (0, 1):
        for line, metric in pairs:
            for member in line.sides[side]:
                positions = line.positions(metric, member)
                keys = [(metric.extractor, key) for key in member.keys(metric, positions)]
                new = [(key, at) for key, at in zip(keys, positions, strict=True) if key not in seen]
                seen.update(keys)
                lacking = tuple(at for (extractor, key), at in new if stores[extractor].get(key) is None)
                if lacking:
                    yield Absent(member.shard, member.request(metric, lacking))


def _all_originals(dataset: Images) -> Shard:
    """All images of a data set as a shard, in whose name originals are read."""
    ids = IdRange(dataset.ids, 0, len(dataset))
    return Shard(dataset.name, dataset.fingerprint, 0, ids, CodecSetting(ORIGINALS), True)
