"""Set metrics: compare the pictures of each setting, point and reconstruction with the originals, by features."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.execute.ray_session import Resources
from uqdm.bench.features.weight_files import WeightsNotNamedError
from uqdm.bench.metrics import SetMetric
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.run.stored_run import StoredRun
from uqdm.bench.scoring.extraction import Extractor, ExtractorSpec, Store
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.bench.scoring.set_features import FeatureStage
from uqdm.bench.scoring.set_lines import SetLine, set_lines
from uqdm.bench.scoring.set_values import compute_values
from uqdm.plugins import contained
from uqdm.text import error_line


@dataclass(frozen=True)
class Task:
    """The set metrics to compute, their run and bounds, and the resources to compute them with."""

    run: StoredRun
    metrics: Sequence[SetMetric]
    set_metrics: SetMetricBounds
    extractor_specs: Mapping[str, ExtractorSpec]
    """How features are computed, by the name of the extractor."""
    limits: WorkerLimits
    open_store: Callable[[Extractor], Store]
    resources: Callable[[], Resources]
    progress: RunProgress
    named: Collection[str] = ()
    """Metrics that the user asked for by name."""


def score_sets(task: Task, not_requested: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each setting, point and reconstruction among the scored rows, and one for the originals alone.

    A metric that cannot be computed is left out of its row, and ``unscored`` has the reason; ``not_requested`` has the
    reasons for metrics that are not requested or cannot run. Only extractors of metrics that are to be computed are
    loaded.
    """
    lines = set_lines(task.run, task.metrics, task.set_metrics)
    for line in lines:
        line.reasons |= not_requested
    wanted = list(_defined(task, lines))
    loaded = {name: _extractor(task, name, lines) for name in sorted({metric.extractor for _, metric in wanted})}
    extractors = {name: extractor for name, extractor in loaded.items() if extractor is not None}
    _compute(task, [(line, metric) for line, metric in wanted if metric.extractor in extractors], extractors)
    return [line.row(extractors) for line in lines]


def _defined(task: Task, lines: Sequence[SetLine]) -> Iterator[tuple[SetLine, SetMetric]]:
    """The chosen lines with each metric that can be computed for them; the others get the reason."""
    for line in lines:
        for metric in task.metrics if line.chosen else ():
            reason = _undefined_reason(line, metric, task.set_metrics)
            if reason is None:
                yield line, metric
            else:
                line.reasons[metric.name] = reason


def _undefined_reason(line: SetLine, metric: SetMetric, bounds: SetMetricBounds) -> str | None:
    """The reason why a metric is not defined for a line, or cannot cut its pictures; None if it can be computed."""
    try:
        with contained():
            return line.undefined_reason(metric, bounds)
    except Exception as error:
        return f"its patches: {error_line(error)}"


def _extractor(task: Task, name: str, lines: Sequence[SetLine]) -> Extractor | None:
    """The extractor; None if it does not load, in which case its metrics get the reason in every line."""
    spec = task.extractor_specs[name]
    try:
        return spec.load(name, spec.weights)
    except Exception as error:  # a missing file or package, or too little memory
        text = " ".join(str(error).split()) or type(error).__name__
        lacking = [metric.name for metric in task.metrics if metric.extractor == name]
        if not isinstance(error, WeightsNotNamedError) or set(lacking) & set(task.named):
            task.progress.say(f"NOT SCORED {', '.join(lacking)}: {text}")
        for line in lines:
            line.reasons |= dict.fromkeys(lacking, text) | line.reasons
        return None


def _compute(task: Task, wanted: Sequence[tuple[SetLine, SetMetric]], extractors: Mapping[str, Extractor]) -> None:
    """Fills the lines from the store of scores, or else from features; missing features are computed."""
    scores = ScoreStore(task.run.store.run_dir)
    todo: list[tuple[SetLine, SetMetric]] = []
    for line, metric in wanted:
        known = scores.read_set(line.key(metric, extractors[metric.extractor]))
        if known is None:
            todo.append((line, metric))
        else:
            line.columns |= known
    if not todo:
        return
    stores = {name: task.open_store(extractor) for name, extractor in extractors.items()}
    resources = task.resources()
    features = FeatureStage(task.run, task.extractor_specs, stores, task.progress)
    features.run(todo, resources, task.limits)
    compute_values(todo, scores, stores, features.faults, extractors, resources.cpus, task.progress.tick)
