"""The table of Bjøntegaard deltas of a run, if they were computed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.short_table import NONE
from uqdm.bench.metrics import declared
from uqdm.bench.report.results_table import Cell, Heading, Table
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import bd_path
from uqdm.bench.run.tables import records
from uqdm.bench.schema import BD
from uqdm.text import from_csv_cell

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

KEYS = ("codec", "curve", "metric", "anchor")
"""Columns by which the page hides rows."""


_ADDED = (
    "bd_rate_spread_low",
    "bd_rate_spread_high",
    "bd_quality_spread_low",
    "bd_quality_spread_high",
    "noise_floor",
    "note",
    *BD.names[BD.get_field_index("image_bd_rate_n") : BD.get_field_index("method")],
)
"""Columns that files of earlier releases lack."""


@dataclass(frozen=True)
class DeltaTable:
    """The table, the method of its figures, and the choices that filter it."""

    table: Table
    method: str
    metrics: dict[str, str]
    """Names and labels of metrics; the one shown at first comes first."""
    anchors: list[str]


def read_deltas(run_dir: Path, titles: Mapping[tuple[str, str], str] | None = None) -> DeltaTable | None:
    """The rows of ``bd.csv``; None if the run has none.

    ``titles`` are shown in place of the labels of curves, by data set and label (see
    :func:`uqdm.bench.analysis.curves.titles`).

    Raises :class:`~uqdm.bench.run.errors.ResultsError` where the file has other columns.
    """
    frame = read_bd(run_dir)
    if frame is None or frame.empty:
        return None
    rows = records(frame)
    several = frame.dataset.nunique() > 1
    labels = {metric.name: metric.label for metric in declared()}
    headings = [
        *([Heading("data set")] if several else []),
        Heading("curve", "codec, kind of reconstruction where it has several, and settings"),
        Heading("metric", "the quality"),
        Heading("anchor", "the curve that it is compared with"),
        Heading("BD-rate, %", comment_of("bd_rate_percent"), numeric=True),
        Heading("BD-quality", comment_of("bd_quality"), numeric=True),
        Heading("overlap", "range of quality over which BD-rate is a mean, and how much of both curves it covers"),
        Heading("images", comment_of("n"), numeric=True),
        Heading(
            "remarks",
            "why a figure or its interval is lacking, which figures depend on the interpolation or on one image",
        ),
    ]
    return DeltaTable(
        table=Table(
            headings,
            [_cells(row, labels.get(row["metric"], row["metric"]), several, titles or {}) for row in rows],
            [{name: row[name] for name in KEYS} for row in rows],
        ),
        method=", ".join(frame.method.unique()),
        metrics={
            name: labels.get(name, name) for name in sorted(frame.metric.unique(), key=lambda name: name != "psnr_db")
        },
        anchors=sorted(frame.anchor.unique(), key=lambda name: name not in ("jpeg", "jpeg-tuned")),
    )


def comment_of(name: str) -> str:
    """What a column of ``BD`` means."""
    return str((BD.field(name).metadata or {}).get(b"comment", b"").decode())


def read_bd(run_dir: Path) -> pd.DataFrame | None:
    """The rows of ``bd.csv`` as :func:`read_csv` reads them; None if the run has none."""
    path = bd_path(run_dir)
    return read_csv(path, BD, _ADDED) if path.is_file() else None


def read_csv(path: Path, schema: pa.Schema, added: Collection[str] = ()) -> pd.DataFrame:
    """Reads texts, empty where a cell is, and numbers as floats. Columns in ``added`` may be lacking."""
    import pandas as pd

    texts = [field.name for field in schema if str(field.type) == "string"]
    numbers = [name for name in schema.names if name not in texts]
    frame = pd.read_csv(
        path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values={name: [""] for name in numbers}
    )
    frame = frame.assign(**{name: frame[name].map(from_csv_cell) for name in texts if name in frame})
    frame = frame.assign(**{name: "" if name in texts else math.nan for name in added if name not in frame})
    lacking = [name for name in schema.names if name not in frame]
    if lacking:
        raise ResultsError(f"{path}: no column {', '.join(lacking)}; make it again: uqdm bench bd --run {path.parent}")
    return frame


def _cells(row: Mapping[str, Any], label: str, several: bool, titles: Mapping[tuple[str, str], str]) -> list[Cell]:
    title = titles.get((row["dataset"], row["curve"]), row["curve"])
    remarks = "; ".join(filter(None, (row["reason"], row["note"], row["warning"])))
    return [
        *([Cell(row["dataset"], row["dataset"])] if several else []),
        Cell(title, row["curve"]),
        Cell(label, label),
        Cell(row["anchor"], row["anchor"]),
        number_cell(row, "bd_rate_percent", "bd_rate", "+.1f"),
        number_cell(row, "bd_quality", "bd_quality", "+#.3g"),
        _overlap(row),
        Cell(NONE, math.nan) if math.isnan(row["n"]) else Cell(f"{row['n']:,.0f}", float(row["n"])),
        Cell(remarks, remarks),
    ]


def number_cell(row: Mapping[str, Any], name: str, ends: str, form: str) -> Cell:
    """A figure, and below it its interval by the columns ``ENDS_low`` and ``ENDS_high``."""
    if not math.isfinite(row[name]):
        return Cell(NONE, math.nan)
    low, high = (_signed(row[f"{ends}_{end}"], form) for end in ("low", "high"))
    return Cell(_signed(row[name], form), float(row[name]), f"{low} to {high}" if low and high else "")


def _signed(value: float, form: str) -> str:
    """A number with its sign; empty if it is not finite.

    >>> _signed(2.3, "+#.3g"), _signed(123.4, "+#.3g"), _signed(math.nan, "+.1f")
    ('+2.30', '+123', '')
    """
    return f"{value:{form}}".removesuffix(".") if math.isfinite(value) else ""


def _overlap(row: Mapping[str, Any]) -> Cell:
    if math.isnan(row["overlap_low"]):
        return Cell(NONE, NONE)
    shares = " / ".join(f"{100 * row[name]:.0f}" for name in ("overlap_share", "anchor_overlap_share"))
    text = f"{row['overlap_low']:.4g} to {row['overlap_high']:.4g} ({shares} %)"
    return Cell(text, text)
