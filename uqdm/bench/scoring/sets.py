"""Set metrics: compare the pictures of each setting, point and reconstruction with the originals, by features."""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.exceptions import RayError

from uqdm.bench.checked_calls import MeasurementError, metric_value
from uqdm.bench.evaluation.original_images import read_originals
from uqdm.bench.execute.executor import Executor
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.ray_session import Resources
from uqdm.bench.execute.scheduler import Group
from uqdm.bench.execute.waiting import completed
from uqdm.bench.execute.worker import limit_threads
from uqdm.bench.lazy_ids import IdRange
from uqdm.bench.metrics import SetMetric, columns_of, set_basis
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.row_batches import row_groups, with_status
from uqdm.bench.run.score_store import PictureKey, ScoreStore, set_key
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_run import StoredRun
from uqdm.bench.run.unscored import unscored_map
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE
from uqdm.bench.scoring.extraction import (
    Extractor,
    ExtractorSpec,
    FeatureJob,
    FeatureRequest,
    OriginalsJob,
    Store,
    feature_keys,
    split_jobs,
)
from uqdm.bench.scoring.pictures import Streams
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.plugins import contained
from uqdm.text import error_line, one_line

if TYPE_CHECKING:
    import pandas as pd

ORIGINALS = "originals"
"""Name in place of a codec in the row that compares one half of the originals with the other."""
HALVES = "first half against second half"
_FEATURES = "features"  # name in the progress
_LINE = ["codec", "setting", "point_index", "point", "reconstruction"]
_COLUMNS = [*_LINE, "image_index", "height", "width", "picture_sha256", "status"]


@dataclass(frozen=True)
class SetPicture:
    """A picture of a set: the shard that it is decoded from (None for an original), its hash and size."""

    shard: Shard | None
    image_index: int
    sha256: str
    size: tuple[int, int]
    point: str = ""
    reconstruction: str = ""

    def request(self, metric: SetMetric) -> FeatureRequest:
        """The request for this picture's features for ``metric``."""
        picture = PictureKey(self.image_index, self.point, self.reconstruction, self.sha256)
        return FeatureRequest(picture, self.sha256, self.size, metric.patches)

    def keys(self, metric: SetMetric) -> list[str]:
        """Keys of this picture's features for ``metric``."""
        return feature_keys(self.sha256, self.size, metric.patches)


@dataclass
class SetLine:
    """One row of the summary: its names, its set of pictures with their originals, and the values."""

    names: dict[str, Any]
    originals: list[SetPicture]
    pictures: list[SetPicture]
    chosen: bool = True
    columns: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def key(self, metric: SetMetric, extractor: Extractor) -> str:
        """Key of the values of ``metric`` in the store of scores."""
        sides = ([member.sha256 for member in side] for side in (self.originals, self.pictures))
        return set_key(metric, extractor.sha256, *sides)

    def undefined_reason(self, metric: SetMetric) -> str | None:
        """The reason why ``metric`` is not defined for these pictures; None if it is."""
        side = min((min(member.size) for member in self.originals), default=0)
        if self.originals and side < metric.smallest_side:
            return f"{side} px is under its smallest side of {metric.smallest_side} px"
        n_items = min(sum(len(m.keys(metric)) for m in members) for members in (self.originals, self.pictures))
        if n_items < metric.smallest_set:
            return f"n={n_items} is under the {metric.smallest_set} that it needs"
        return None

    def row(self, extractor: Extractor | None) -> dict[str, Any]:
        """The row as ``scores.json`` has it."""
        basis = set_basis()
        basis_columns: dict[str, Any] = dict.fromkeys(basis.names)
        if self.columns and extractor is not None:
            basis_columns = basis.values(len(self.pictures), extractor.sha256, extractor.resize, extractor.n_features)
        return {**self.names, **self.columns, **basis_columns, "unscored": unscored_map(self.reasons)}


@dataclass(frozen=True)
class Task:
    """The set metrics to compute, their run and bounds, and the resources to compute them with."""

    run: StoredRun
    metrics: Sequence[SetMetric]
    set_metrics: SetMetricBounds
    extractor_spec: ExtractorSpec
    limits: WorkerLimits
    open_store: Callable[[Extractor], Store]
    resources: Callable[[], Resources]
    progress: RunProgress


def score_sets(task: Task, not_requested: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each setting, point and reconstruction among the scored rows, and one for the originals alone.

    A metric that cannot be computed is left out of its row, and ``unscored`` has the reason; ``not_requested`` has the
    reasons for metrics that are not requested or cannot run.
    """
    indices = task.set_metrics.image_indices(len(task.run.dataset))
    lines = _lines(task, indices, _chosen_rows(task.run.store.run_dir, indices))
    for line in lines:
        line.reasons |= not_requested
    extractor = _extractor(task, lines) if task.metrics else None
    if extractor is not None:
        _compute(task, [line for line in lines if line.chosen], extractor)
    return [line.row(extractor) for line in lines]


def _extractor(task: Task, lines: Sequence[SetLine]) -> Extractor | None:
    """The extractor; None if it does not load, in which case every line gets the reason."""
    try:
        return task.extractor_spec.load(task.extractor_spec.weights)
    except Exception as error:  # a missing file or package, or too little memory
        text = " ".join(str(error).split()) or type(error).__name__
        task.progress.say(f"NOT SCORED {', '.join(metric.name for metric in task.metrics)}: {text}")
        for line in lines:
            line.reasons |= dict.fromkeys((metric.name for metric in task.metrics), text) | line.reasons
        return None


def _chosen_rows(run_dir: Path, indices: Sequence[int]) -> pd.DataFrame:
    """The rows with status ok of the chosen images, and at least one of each line, in the order of the files."""
    seen: set[tuple[Any, ...]] = set()
    chosen = pa.array(indices, pa.int32())
    tables = []
    for table in row_groups(run_dir, _COLUMNS):
        ok = with_status(table, STATUS_OK)
        first = []
        for line in zip(*(ok[name].to_pylist() for name in _LINE), strict=True):
            first.append(line not in seen)
            seen.add(line)
        tables.append(ok.filter(pc.or_(pc.is_in(ok["image_index"], chosen), pa.array(first, pa.bool_()))))
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def _lines(task: Task, indices: Sequence[int], ok: pd.DataFrame) -> list[SetLine]:
    """All lines of the summary that have pictures; lines that are not chosen have a reason in place of pictures."""
    dataset, selection = task.run.dataset, task.set_metrics
    originals = {index: _original(dataset.load(index), index) for index in indices} if task.metrics else {}
    codecs = {codec.name: codec for codec in task.run.codecs}
    chosen = {name: selection.chosen_settings(codec.settings) for name, codec in codecs.items()}
    shards = {
        (codec.name, shard.codec_setting.setting, index): shard
        for codec in codecs.values()
        for shard in codec.shards
        for index in indices[bisect_left(indices, shard.start) : bisect_left(indices, shard.stop)]
    }
    lines = []
    for names, group in ok.groupby(_LINE, sort=False):
        line = SetLine(dict(zip(_LINE, names, strict=True)), [], [])
        lines.append(line)
        line.chosen = line.names["setting"] in chosen[line.names["codec"]]
        if line.chosen and task.metrics:
            found = group[group.image_index.isin(indices)].sort_values("image_index")
            line.pictures = [_set_picture(shards, row) for row in found.to_dict("records")]
            line.originals = [originals[member.image_index] for member in line.pictures]
        else:
            counts = f"{len(chosen[line.names['codec']])} of {len(codecs[line.names['codec']].settings)}"
            reason = f"not among the {counts} settings chosen for metrics of sets"
            line.reasons |= {metric.name: reason for metric in task.metrics}
    return [*lines, _floor(list(originals.values()))] if task.metrics else lines


def _original(image: np.ndarray, index: int) -> SetPicture:
    return SetPicture(None, index, picture_sha256(image), (image.shape[0], image.shape[1]))


def _set_picture(shards: Mapping[tuple[str, str, int], Shard], row: Mapping[Any, Any]) -> SetPicture:
    index = int(row["image_index"])
    return SetPicture(
        shards[row["codec"], row["setting"], index],
        index,
        row["picture_sha256"],
        (int(row["height"]), int(row["width"])),
        row["point"],
        row["reconstruction"],
    )


def _floor(originals: Sequence[SetPicture]) -> SetLine:
    """The floor, a bound that codecs cannot be expected to fall below: one half of the originals against the other."""
    half = len(originals) // 2
    names = {"codec": ORIGINALS, "setting": HALVES, "status": STATUS_REFERENCE}
    return SetLine(names, list(originals[:half]), list(originals[half : 2 * half]))


def _compute(task: Task, lines: Sequence[SetLine], extractor: Extractor) -> None:
    """Fills the lines from the store of scores, or else from features; missing features are computed."""
    scores = ScoreStore(task.run.store.run_dir)
    todo: list[tuple[SetLine, SetMetric]] = []
    for line in lines:
        for metric in task.metrics:
            known = scores.read_set(line.key(metric, extractor))
            reason = _undefined_reason(line, metric)
            if reason is not None:
                line.reasons[metric.name] = reason
            elif known is not None:
                line.columns |= known
            else:
                todo.append((line, metric))
    if not todo:
        return
    store = task.open_store(extractor)
    faults = _compute_features(task, todo, store)
    _compute_from_features(task, todo, store, faults, extractor)


def _undefined_reason(line: SetLine, metric: SetMetric) -> str | None:
    """The reason why a metric is not defined for a line, or cannot cut its pictures; None if it can be computed."""
    try:
        with contained():
            return line.undefined_reason(metric)
    except Exception as error:
        return f"its patches: {error_line(error)}"


# ---- features -------------------------------------------------------------------------------------------------


def _compute_features(task: Task, todo: Iterable[tuple[SetLine, SetMetric]], store: Store) -> dict[str, str]:
    """Computes the features that are not stored yet, each once; returns the reasons for those that failed."""
    jobs = _jobs(task, _absent(todo, store))
    if not jobs:
        return {}
    total = sum(len(job.requests) for job in jobs)
    task.progress.add(_FEATURES, "features of pictures", total, stored=0)
    task.progress.begin(_FEATURES)

    collector = _FeatureCollector(store, task.progress)
    load = functools.partial(read_originals, task.run.dataset)
    Executor(task.resources(), load, collector, task.limits).run([Group(FeatureJob, jobs, len(jobs), uses_gpu=True)])
    return collector.faults


class _FeatureCollector:
    """Stores features as they arrive, and collects the reasons for those that failed."""

    def __init__(self, store: Store, progress: RunProgress) -> None:
        self._store, self._progress = store, progress
        self.tick, self.say = progress.tick, progress.say
        self.faults: dict[str, str] = {}

    def done(self, job: FeatureJob, done: Done) -> None:
        """See :class:`~uqdm.bench.execute.scheduler.Listener`."""
        features: Mapping[str, np.ndarray | str] = done.result
        for key, value in features.items():
            if isinstance(value, str):
                self.faults[key] = value
            else:
                self._store.put(key, value)
        self._progress.advance(_FEATURES, len(job.requests))


def _absent(todo: Iterable[tuple[SetLine, SetMetric]], store: Store) -> dict[str, tuple[SetPicture, SetMetric]]:
    """Pictures whose features are not stored, by their first key; an original comes before equal pictures."""
    wanted: dict[str, tuple[SetPicture, SetMetric]] = {}
    seen: set[str] = set()
    for side in ("originals", "pictures"):
        for line, metric in todo:
            for member in getattr(line, side):
                keys = member.keys(metric)
                if keys[0] not in seen:
                    seen.add(keys[0])
                    if any(store.get(key) is None for key in keys):
                        wanted[keys[0]] = (member, metric)
    return wanted


def _jobs(task: Task, absent: Mapping[str, tuple[SetPicture, SetMetric]]) -> list[FeatureJob]:
    by_shard: dict[str | None, tuple[Shard | None, list[FeatureRequest]]] = {}
    for member, metric in absent.values():
        key = member.shard.key if member.shard else None
        by_shard.setdefault(key, (member.shard, []))[1].append(member.request(metric))
    dataset, jobs = task.run.dataset, []
    for shard, requests in by_shard.values():
        if shard is None:
            whole = Shard(
                dataset.name,
                dataset.fingerprint,
                0,
                IdRange(dataset.ids, 0, len(dataset)),
                CodecSetting(ORIGINALS),
                True,
            )
            source = Streams(task.run.store, whole)
            jobs += split_jobs(OriginalsJob(whole, source, tuple(requests), task.extractor_spec, dataset))
        else:
            jobs += split_jobs(FeatureJob(shard, Streams(task.run.store, shard), tuple(requests), task.extractor_spec))
    return jobs


# ---- figures --------------------------------------------------------------------------------------------------


def compute_set(metric: SetMetric, originals: np.ndarray, pictures: np.ndarray) -> dict[str, float] | str:
    """The columns of ``metric`` for features [n, d] of originals and pictures, or the reason why there are none."""
    limit_threads()
    try:
        with contained():
            found = dict(metric.compute(originals.copy(), pictures.copy()))
        if found.keys() != columns_of(metric).keys():
            return one_line(
                f"gave the columns {sorted(map(str, found))}, and declares {sorted(columns_of(metric))}", 500
            )
        columns = {name: metric_value(value) for name, value in found.items()}
    except MeasurementError as error:
        return one_line(str(error))
    except Exception as error:  # an error of one metric must not affect the others
        return f"failed with {error_line(error)}"
    return columns if all(map(math.isfinite, columns.values())) else "gave no finite number"


def _compute_from_features(
    task: Task,
    todo: Sequence[tuple[SetLine, SetMetric]],
    store: Store,
    faults: Mapping[str, str],
    extractor: Extractor,
) -> None:
    """Computes each metric of each line as a Ray task; equal sets are computed once."""
    scores = ScoreStore(task.run.store.run_dir)
    by_key: dict[str, list[tuple[SetLine, SetMetric]]] = {}
    for line, metric in todo:
        by_key.setdefault(line.key(metric, extractor), []).append((line, metric))
    resources = task.resources()
    remote: Any = ray.remote(compute_set).options(num_cpus=1)

    def start() -> Iterator[tuple[ray.ObjectRef, str]]:
        for key, alike in by_key.items():
            line, metric = alike[0]
            sides = [_features(members, metric, store, faults) for members in (line.originals, line.pictures)]
            reason = next((side for side in sides if isinstance(side, str)), None)
            if reason is not None:
                _settle(alike, reason)
            else:
                yield remote.remote(metric, *sides), key

    for ref, key in completed(start(), resources.cpus + 1, task.progress.tick):
        found = _answer(ref)
        if not isinstance(found, str):
            scores.write_set(key, found)
        _settle(by_key[key], found)


def _answer(ref: ray.ObjectRef) -> dict[str, float] | str:
    """The result of a metric's task; a metric that crashes its process has failed, too."""
    try:
        found: dict[str, float] | str = ray.get(ref)
    except RayError as error:
        return f"its process was lost, or did not find the metric: {error_line(error)}"
    return found


def _settle(alike: Sequence[tuple[SetLine, SetMetric]], found: Mapping[str, float] | str) -> None:
    for line, metric in alike:
        if isinstance(found, str):
            line.reasons[metric.name] = found
        else:
            line.columns |= found


def _features(
    members: Sequence[SetPicture], metric: SetMetric, store: Store, faults: Mapping[str, str]
) -> np.ndarray | str:
    """Features [n, d] of a set, or the reason why there are none."""
    found = []
    for key in (key for member in members for key in member.keys(metric)):
        features = store.get(key)
        if features is None:
            return faults.get(key, "its features were not stored; score again")
        found.append(features)
    return np.stack(found)
