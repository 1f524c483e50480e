"""The values of set metrics, from stored features, each in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError

from uqdm.bench.checked_calls import MeasurementError, metric_value
from uqdm.bench.execute.waiting import completed
from uqdm.bench.execute.worker import limit_threads
from uqdm.bench.metrics import SetMetric, columns_of
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.scoring.extraction import Extractor, FeatureKey, Store
from uqdm.bench.scoring.set_lines import SetLine, SetPicture
from uqdm.plugins import contained
from uqdm.text import error_line, one_line

Pairs = Sequence[tuple[SetLine, SetMetric]]
"""Lines, each with a metric to compute for it."""


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


def compute_values(
    todo: Pairs,
    scores: ScoreStore,
    stores: Mapping[str, Store],
    faults: Mapping[FeatureKey, str],
    extractors: Mapping[str, Extractor],
    n_cores: int,
    tick: Callable[[], None],
) -> None:
    """Computes each metric of each line as a Ray task; equal sets are computed once.

    ``stores`` and ``extractors`` are by the name of the extractor; ``faults`` has the reasons for features that are not
    stored; ``tick`` is called about once a second.
    """
    by_key: dict[str, list[tuple[SetLine, SetMetric]]] = {}
    for line, metric in todo:
        by_key.setdefault(line.key(metric, extractors[metric.extractor]), []).append((line, metric))
    remote: Any = ray.remote(compute_set).options(num_cpus=1)

    def start() -> Iterator[tuple[ray.ObjectRef, str]]:
        for key, alike in by_key.items():
            line, metric = alike[0]
            sides = [_features(line, members, metric, stores[metric.extractor], faults) for members in line.sides]
            reason = next((side for side in sides if isinstance(side, str)), None)
            if reason is not None:
                _settle(alike, reason)
            else:
                yield remote.remote(metric, *sides), key

    for ref, key in completed(start(), n_cores + 1, tick):
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


def _settle(alike: Pairs, found: Mapping[str, float] | str) -> None:
    for line, metric in alike:
        if isinstance(found, str):
            line.reasons[metric.name] = found
        else:
            line.columns |= found


def _features(
    line: SetLine, members: Sequence[SetPicture], metric: SetMetric, store: Store, faults: Mapping[FeatureKey, str]
) -> np.ndarray | str:
    """Features [n, d] of a set, or the reason why there are none."""
    found = []
    for key in line.keys(metric, members):
        features = store.get(key)
        if features is None:
            return faults.get((metric.extractor, key), "its features were not stored; score again")
        found.append(features)
    return np.stack(found)
