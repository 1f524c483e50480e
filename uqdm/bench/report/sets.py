"""The sets that the set metrics of a run were computed on, which the page shows next to their plots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.metrics import (
    SetMetric,
    basis_metrics,
    declared,
    headline_set_metrics,
    labels_of,
    n_set_images,
    set_basis,
)
from uqdm.bench.report.figures import plotted_metrics
from uqdm.bench.report.results_table import significant
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Caveats:
    """Facts and warnings about a run's set metrics."""

    facts: list[str]
    warnings: list[str]
    """Each begins with the metric that it is about."""


def absent() -> str:
    """The text for a run without set metrics."""
    return f"This run has no {labels_of(headline_set_metrics(), 'or')}."


def caveats(summary: pd.DataFrame) -> Caveats:
    """For each data set: images, extractor, resize, the floor of originals against originals, and warnings."""
    metrics = [metric for metric in plotted_metrics(summary) if isinstance(metric, SetMetric)]
    if not metrics:
        return Caveats([absent(), *_unscored(summary[summary.status == STATUS_OK])], [])
    facts: list[str] = []
    warnings: list[str] = []
    for dataset, rows in summary.groupby("dataset"):
        prefix = f"{dataset}: " if summary.dataset.nunique() > 1 else ""
        ok = rows[rows.status == STATUS_OK]
        floor = records(rows[rows.status == STATUS_REFERENCE])
        bases = list(_bases(ok, metrics))
        facts += [prefix + text for text in (*bases, *(_floor(row, metrics) for row in floor), *_unscored(ok))]
        warnings += [
            f"{prefix}{declarer.label}: {text}"
            for declarer in basis_metrics().values()
            for text in _texts(ok, set_basis(declarer).warning)
        ]
    return Caveats(facts, warnings)


def _bases(ok: pd.DataFrame, metrics: list[SetMetric]) -> Iterator[str]:
    """For each extractor: the number of pictures, its weights, and how it resizes them."""
    extractors = {metric.extractor: metric for metric in metrics}
    for metric in extractors.values():
        basis = set_basis(metric)
        numbers = sorted(ok[basis.n].dropna().unique()) if basis.n in ok else []
        counts = ", ".join(f"{int(count):,}" for count in numbers)
        alike = labels_of(one for one in metrics if one.extractor == metric.extractor)
        of = f"{alike}: sets" if len(extractors) > 1 else "Sets"
        parts = [f"{of} of {counts or 'an unstated number of'} pictures against as many originals"]
        weights, resizes = (", ".join(_texts(ok, name)) for name in (basis.extractor, basis.resize))
        parts += [f"features by the network with weights {weights}"] if weights else []
        parts += [f"resized: {resizes}"] if resizes else []
        yield "; ".join(parts) + "."


def _floor(row: dict[str, Any], metrics: list[SetMetric]) -> str:
    values = [
        f"{metric.label} {significant(row[metric.name])}" for metric in metrics if not _absent(row.get(metric.name))
    ]
    count = n_set_images(row)
    images = "" if count is None else f" ({counted(count, 'image')})"
    return (
        f"Floor: {row['codec']}, {row['setting']}{images}: {', '.join(values) or 'none'}. These are the values for so "
        "few images without any coding. The curves compare pictures with their own originals, so they can be lower."
    )


def _unscored(ok: pd.DataFrame) -> list[str]:
    """The metrics that some or all points lack, with the first reason of each; equal reasons are joined."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for reasons in ok.unscored.dropna() if "unscored" in ok else ():
        counts.update(list(reasons))
        first = reasons | first
    together: dict[tuple[str, int], list[str]] = {}
    for name, reason in first.items():
        together.setdefault((reason, counts[name]), []).append(_label(name))
    return [
        f"No {' and '.join(labels)} {'here' if count == len(ok) else f'at {count} of {len(ok)} points'}: {reason}."
        for (reason, count), labels in together.items()
    ]


def _label(column: str) -> str:
    return next((metric.label for metric in declared() if metric.name == column), column)


def _texts(rows: pd.DataFrame, column: str) -> list[str]:
    if column not in rows:
        return []
    found: Iterable[str] = rows[column].dropna().unique()
    return [str(text) for text in found]


def _absent(value: float | None) -> bool:
    return value is None or math.isnan(value)
