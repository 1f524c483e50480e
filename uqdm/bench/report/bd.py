"""The table of Bjøntegaard deltas of a run, where they were computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uqdm.bench.report.results_table import Cell, Heading, Table
from uqdm.bench.results import ResultsError, records
from uqdm.bench.tables import NONE

_TEXTS = ("dataset", "metric", "anchor", "codec", "curve", "method", "reason")
_NUMBERS = (
    *("bd_rate_percent", "bd_rate_low", "bd_rate_high", "bd_quality", "bd_quality_low", "bd_quality_high"),
    *("overlap_low", "overlap_high", "overlap_share", "n"),
)


@dataclass(frozen=True)
class DeltaTable:
    """The table, and what it can be narrowed to: metrics and anchors, the first of each shown at first."""

    table: Table
    metrics: list[str]
    anchors: list[str]
    keys: list[tuple[str, str]]
    """Metric and anchor of each row."""


def read_deltas(run_dir: Path) -> DeltaTable | None:
    """The rows of ``bd.csv``; None if the run has none.

    Raises :class:`~uqdm.bench.results.ResultsError` where the file has other columns.
    """
    path = run_dir / "bd.csv"
    if not path.is_file():
        return None
    rows = _read(path)
    several = len({row["dataset"] for row in rows}) > 1
    headings = [
        *([Heading("data set")] if several else []),
        Heading("curve", "codec, and way of making pictures where it has several"),
        Heading("metric"),
        Heading("anchor", "the curve that is compared with"),
        Heading("BD-rate, %", "mean difference in rate at equal quality; negative: fewer bits", numeric=True),
        Heading("BD-quality", "mean difference in quality at equal rate, in units of the metric", numeric=True),
        Heading("overlap", "range of quality that both curves cover, and its share of what either covers"),
        Heading("images", numeric=True),
        Heading("method or reason", "how the mean was taken, or why there is none"),
    ]
    table = Table(headings, [_cells(row, several) for row in rows])
    keys = [(row["metric"], row["anchor"]) for row in rows]
    metrics = sorted({metric for metric, _ in keys}, key=lambda name: (name != "psnr_db", name))
    anchors = sorted({anchor for _, anchor in keys}, key=lambda name: (name != "jpeg", name))
    return DeltaTable(table, metrics, anchors, keys)


def _read(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    frame = pd.read_csv(
        path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values={name: [""] for name in _NUMBERS}
    )
    lacking = [name for name in (*_TEXTS, *_NUMBERS) if name not in frame]
    if lacking:
        raise ResultsError(f"{path}: no column {', '.join(lacking)}; remove it and make it again")
    return records(frame)


def _cells(row: Mapping[str, Any], several: bool) -> list[Cell]:
    method = row["reason"] or row["method"]
    return [
        *([Cell(row["dataset"], row["dataset"])] if several else []),
        Cell(row["curve"], row["curve"]),
        Cell(row["metric"], row["metric"]),
        Cell(row["anchor"], row["anchor"]),
        _number(row, "bd_rate_percent", "bd_rate", "+.1f"),
        _number(row, "bd_quality", "bd_quality", "+.3g"),
        _overlap(row),
        Cell(NONE, -math.inf) if math.isnan(row["n"]) else Cell(f"{row['n']:,.0f}", float(row["n"])),
        Cell(method, method),
    ]


def _number(row: Mapping[str, Any], name: str, ends: str, form: str) -> Cell:
    if not math.isfinite(row[name]):
        return Cell(NONE, -math.inf)
    low, high = row[f"{ends}_low"], row[f"{ends}_high"]
    interval = f"{low:{form}} to {high:{form}}" if math.isfinite(low) and math.isfinite(high) else ""
    return Cell(f"{row[name]:{form}}", float(row[name]), interval)


def _overlap(row: Mapping[str, Any]) -> Cell:
    if math.isnan(row["overlap_low"]):
        return Cell(NONE, NONE)
    share = "" if math.isnan(row["overlap_share"]) else f", {100 * row['overlap_share']:.0f} %"
    text = f"{row['overlap_low']:.4g} to {row['overlap_high']:.4g}{share}"
    return Cell(text, text)
