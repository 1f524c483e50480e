"""Conditions of the set metrics (FID, KID) of a run, which the page shows next to their plots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.metrics import SetMetric, declared
from uqdm.bench.report.figures import plotted_metrics
from uqdm.bench.report.results_table import significant
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE

if TYPE_CHECKING:
    import pandas as pd

ABSENT = "This run has no FID or KID."


@dataclass(frozen=True)
class Caveats:
    """Facts and warnings about a run's set metrics."""

    facts: list[str]
    warnings: list[str]


def caveats(summary: pd.DataFrame) -> Caveats:
    """For each data set: images, extractor, resize, the floor of originals against originals, and warnings."""
    metrics = [metric for metric in plotted_metrics(summary) if isinstance(metric, SetMetric)]
    if not metrics:
        return Caveats([ABSENT, *_unscored(summary[summary.status == STATUS_OK])], [])
    facts: list[str] = []
    warnings: list[str] = []
    for dataset, rows in summary.groupby("dataset"):
        prefix = f"{dataset}: " if summary.dataset.nunique() > 1 else ""
        ok = rows[rows.status == STATUS_OK]
        floor = records(rows[rows.status == STATUS_REFERENCE])
        facts += [prefix + text for text in (_basis(ok), *(_floor(row, metrics) for row in floor), *_unscored(ok))]
        warnings += [prefix + text for text in _texts(ok, "fid_warning")]
    return Caveats(facts, warnings)


def _basis(ok: pd.DataFrame) -> str:
    counts = ", ".join(f"{int(count):,}" for count in sorted(ok.fid_n.dropna().unique())) if "fid_n" in ok else ""
    parts = [f"Sets of {counts or 'an unstated number of'} pictures against as many originals"]
    parts += [
        f"features by the network with weights {', '.join(found)}" for found in [_texts(ok, "fid_extractor")] if found
    ]
    parts += [f"resized: {', '.join(found)}" for found in [_texts(ok, "fid_resize")] if found]
    return "; ".join(parts) + "."


def _floor(row: dict[str, Any], metrics: list[SetMetric]) -> str:
    values = [
        f"{metric.label} {significant(row[metric.name])}" for metric in metrics if not _absent(row.get(metric.name))
    ]
    count = row.get("fid_n")
    images = "" if _absent(count) else f" ({int(row['fid_n']):,} images)"
    return (
        f"Floor: {row['codec']}, {row['setting']}{images}: {', '.join(values) or 'none'}. It shows what so few images "
        "give without any coding; the curves compare equal images, so they can lie below it."
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
