"""Targets for the mean over all images: the search of the one setting that reaches them.

Each try is an ordinary evaluation of one setting on all images. Its shards are stored like any others, so a search that
was stopped resumes, and its rows are not among those of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uqdm.bench.evaluation.bisection import Bisection, bisect, unreachable
from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.metrics import all_metrics
from uqdm.bench.run.codec_settings import (
    TARGETS_JOINED_BY,
    CodecSetting,
    MeanFound,
    format_value,
    ordinary_setting,
)
from uqdm.bench.run.filled_rows import picture_of
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.targets import Found, Target
from uqdm.bench.schema import STATUS_OK
from uqdm.text import counted

MeasurePlan = Callable[[Context, CodecPlan], None]
"""Measures the shards of a plan that are missing, and stores them."""
Say = Callable[[str], None]


def has_mean_targets(codecs: Mapping[str, Sequence[CodecSetting]]) -> bool:
    """Whether a setting is to be searched for the mean over the images."""
    return any(_is_searched(one) for codec_settings in codecs.values() for one in codec_settings)


def _is_searched(codec_setting: CodecSetting) -> bool:
    target = codec_setting.target
    return target is not None and target.of_mean and codec_setting.missing is None


def with_settings_found(
    context: Context, codecs: Mapping[str, Sequence[CodecSetting]], measure: MeasurePlan, say: Say
) -> dict[str, list[CodecSetting]]:
    """The settings of each codec, where those with a target for the mean are the ordinary ones that were found.

    A target that is not reached leaves a setting that cannot run, with the reason. Settings that several targets found
    are listed once; their targets are joined.
    """
    found: dict[str, list[CodecSetting]] = {}
    for name, codec_settings in codecs.items():
        by_text: dict[str, CodecSetting] = {}
        for one in codec_settings:
            if _is_searched(one):
                one = _MeanSearch(context, one, measure).run()
                say(f"search {context.dataset.name}: {_outcome(one)}")
            by_text[one.setting] = _joined(by_text.get(one.setting), one)
        found[name] = list(by_text.values())
    return found


def _outcome(codec_setting: CodecSetting) -> str:
    found = codec_setting.mean_found
    if found is None:
        return str(codec_setting.missing)
    where = found.found_setting or found.point
    tries = counted(found.target_tries, "try", "tries")
    return f"{codec_setting.name}: {found.target}: {where} after {tries}, off by {found.target_error:+.4g}"


def _joined(first: CodecSetting | None, other: CodecSetting) -> CodecSetting:
    """One setting of two requests of the same setting; what the first search found counts."""
    if first is None:
        return other
    if first.mean_found is None or other.mean_found is None:
        return replace(first, mean_found=first.mean_found or other.mean_found)
    target = TARGETS_JOINED_BY.join([first.mean_found.target, other.mean_found.target])
    return replace(first, mean_found=replace(first.mean_found, target=target))


@dataclass
class _MeanSearch:
    """The search of one codec for one target."""

    context: Context
    codec_setting: CodecSetting
    measure: MeasurePlan

    def run(self) -> CodecSetting:
        """The ordinary setting that was found, or the setting of the target with the reason why there is none."""
        search = self.codec_setting.search
        if search is None:
            return self._of_points()
        found = bisect(len(search.values), self._mean_at, self._target)
        if not found.is_reached:
            return self._unreached(found.tries.values())
        return self._found(found, found.best)

    @property
    def _target(self) -> Target:
        assert self.codec_setting.target is not None
        return self.codec_setting.target

    def _of_points(self) -> CodecSetting:
        """The point of the files whose mean answers the target best; of several kinds of pictures the first counts."""
        points: dict[str, list[Found]] = {}
        for row in self._rows(ordinary_setting(self.codec_setting, None)):
            points.setdefault(row["point"], []).append(row["found"])
        tries = {place: _mean(listed) for place, listed in enumerate(points.values())}
        best = None
        for place, found in tries.items():
            if self._target.is_better(found, than=None if best is None else tries[best]):
                best = place
        if best is None or not self._target.is_reached(tries[best], tries.values()):
            return self._unreached(tries.values())
        return self._found(Bisection(best, tries, is_reached=True), None, list(points)[best])

    def _found(self, found: Bisection, index: int | None, point: str | None = None) -> CodecSetting:
        search = self.codec_setting.search
        made = ordinary_setting(self.codec_setting, index)
        names = () if search is None else search.names
        mean_found = MeanFound(
            target=self._target.text,
            found_setting=",".join(f"{name}={format_value(made.parameters[name])}" for name in names),
            target_tries=len(found.tries) if point is None else 1,
            target_error=self._target.error(found.found),
            point=point,
        )
        return replace(made, label=self.codec_setting.label, mean_found=mean_found)

    def _unreached(self, tries: Any) -> CodecSetting:
        reason = unreachable(self._target, list(tries), f"these {counted(len(self.context.dataset), 'image')}")
        return replace(self.codec_setting, missing=f"codec {self.codec_setting.name!r}: {reason}")

    def _mean_at(self, index: int) -> Found:
        rows = list(self._rows(ordinary_setting(self.codec_setting, index)))
        last = {row["image_index"]: row["found"] for row in rows}  # of a progressive file, the whole
        return _mean(list(last.values()))

    # ---- the rows of one setting ------------------------------------------------------------------------------

    def _rows(self, codec_setting: CodecSetting) -> Iterator[dict[str, Any]]:
        """The pictures of a setting in the order of their points, one of each point, each with what it gives."""
        context = self._context()
        plan = CodecPlan(context, codec_setting.name, [codec_setting])
        plan.find_stored(is_complete=self._has_values)
        if plan.n_missing:
            self.measure(context, plan)
        for shard in plan.shards():
            scores = self._scores(shard)
            seen: set[tuple[int, str]] = set()
            for row in context.store.read(shard).to_pylist():
                if row["status"] == STATUS_OK and (row["image_index"], row["point"]) not in seen:
                    seen.add((row["image_index"], row["point"]))
                    yield {**row, "found": self._value(row, scores)}

    def _context(self) -> Context:
        """The context of the evaluation, which computes the metric of the target, too."""
        names = self._metric_names()
        if self.context.metrics is None:
            return replace(self.context, metrics=MetricChoice(names))
        if all(map(self.context.metrics.asks_for, names)):
            return self.context
        return replace(self.context, metrics=MetricChoice((*(self.context.metrics.names or ()), *names)))

    def _metric_names(self) -> tuple[str, ...]:
        return () if self._target.is_rate else (self._target.quantity,)

    def _scores(self, shard: Shard) -> Mapping[Any, Any]:
        for metric in all_metrics():
            if metric.name in self._metric_names():
                return ScoreStore(self.context.store.run_dir).read(shard, metric)
        return {}

    def _has_values(self, shard: Shard) -> bool:
        """Whether a stored shard has the metric of the target, for each picture that it is defined for."""
        if self._target.is_rate:
            return True
        scores = self._scores(shard)
        least = next(metric.smallest_side for metric in all_metrics() if metric.name == self._target.quantity)
        rows = self.context.store.read(shard).to_pylist()
        ok = [row for row in rows if row["status"] == STATUS_OK and min(row["height"], row["width"]) >= least]
        return all(picture_of(row) in scores for row in ok)

    def _value(self, row: Mapping[str, Any], scores: Mapping[Any, Any]) -> Found:
        n_bytes = row["file_bits"] / 8
        if self._target.is_rate:
            return self._target.rate(n_bytes, row["height"] * row["width"])
        score = scores.get(picture_of(row))
        return Found(math.nan if score is None else score.value, n_bytes)


def _mean(listed: Sequence[Found]) -> Found:
    """The mean over images; infinite values (the PSNR of exact images) are left out, as in summaries.

    >>> _mean([Found(30.0, 100), Found(float("inf"), 300)])
    Found(value=30.0, n_bytes=200.0)
    """
    values = np.array([found.value for found in listed])
    if not len(values) or np.isnan(values).any():
        return Found(math.nan, math.nan)
    finite = values[np.isfinite(values)]
    value = float(finite.mean()) if len(finite) else math.inf
    return Found(value, float(np.mean([found.n_bytes for found in listed])))
