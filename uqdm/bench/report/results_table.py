"""The table of all results: its columns and the format of their numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curves import short_settings
from uqdm.bench.analysis.short_table import NONE
from uqdm.bench.metrics import columns_of, declared, set_basis, summary_schema
from uqdm.bench.run.rates import is_ideal
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A cell: text, sort value, interval if there is one, and the full text where ``text`` is shortened."""

    text: str
    value: float | str
    interval: str = ""
    whole: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading: text, explanation of the column, and the group that shows it (empty: always shown)."""

    text: str
    explanation: str = ""
    group: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Headings and rows."""

    headings: list[Heading]
    rows: list[list[Cell]]


GROUPS = {"rate": "rate and distortion", "quality": "other metrics", "cost": "cost"}
"""Groups of columns with their names; columns without a group are always shown."""


@dataclass(frozen=True)
class _Column:
    """A column of the summary. ``write`` formats a number; a column without it has text."""

    name: str
    heading: str
    group: str = ""
    write: Callable[[float], str] | None = None


def _decimals(count: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.{count}f}"


def significant(value: float) -> str:
    """Four significant digits.

    >>> significant(0.98765), significant(123.456), significant(12345.6), significant(0)
    ('0.9877', '123.5', '12,346', '0')
    """
    return f"{value:,.0f}" if not value or abs(value) >= 10_000 else f"{value:#.4g}".removesuffix(".")


def in_mebibytes(value: float) -> str:
    """Bytes as MiB.

    >>> in_mebibytes(3 * 2**20)
    '3 MiB'
    """
    return f"{value / 2**20:,.0f} MiB"


def with_prefix(value: float) -> str:
    """A count with k, M or G.

    >>> with_prefix(0), with_prefix(1234), with_prefix(5.678e6)
    ('0', '1.23 k', '5.68 M')
    """
    for power, prefix in ((9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g} {prefix}"
    return f"{value:.3g}"


# Explanations are those of the schema.
_FIRST = (
    _Column("dataset", "data set"),
    _Column("codec", "codec"),
    _Column("label", "label"),
    _Column("setting", "setting"),
    _Column("point", "point"),
    _Column("reconstruction", "picture"),
    _Column("n", "images", "rate", _decimals(0)),
    _Column("failed", "failed", "rate", _decimals(0)),
    _Column("exact", "exact", "rate", _decimals(0)),
    _Column("rate_kind", "rate of", "rate"),
    _Column("bpp", "rate, bpp", "rate", _decimals(3)),
    _Column("ideal_bpp", "ideal, bpp", "rate", _decimals(3)),
    _Column("psnr_db", "PSNR, dB", "rate", _decimals(2)),
    _Column("mse", "MSE", "rate", _decimals(2)),
)
_LAST = (
    _Column("encode_ms", "encode, ms", "cost", _decimals(2)),
    _Column("decode_ms", "decode, ms", "cost", _decimals(2)),
    _Column("batch_size", "batch", "cost", with_prefix),
    _Column("device", "device", "cost"),
    _Column("threads", "threads", "cost", with_prefix),
    _Column("encode_calls", "calls to encode", "cost", with_prefix),
    _Column("decode_calls", "calls to decode", "cost", with_prefix),
    _Column("macs_per_pixel", "MACs per pixel", "cost", with_prefix),
    _Column("peak_memory_bytes", "peak memory", "cost", in_mebibytes),
)


def full_table(summary: pd.DataFrame) -> Table:
    """The rows of the summary that have pictures or are references, without columns that carry no information."""
    shown = summary[summary.status.isin([STATUS_OK, STATUS_REFERENCE])]
    columns = [column for column in _columns() if not _uninformative(shown, column.name)]
    headings = [
        Heading(column.heading, _explanation(column.name), column.group, column.write is not None) for column in columns
    ]
    rows = [[_cell(row, column) for column in columns] for row in records(_shortened(shown))]
    return Table(headings, rows)


def _shortened(rows: pd.DataFrame) -> pd.DataFrame:
    """Adds a column ``short``: the parameters in which a setting differs from the codec's others."""
    shorts = {codec: short_settings(found.unique()) for codec, found in rows.groupby("codec")["setting"]}
    short = [shorts[codec][setting] for codec, setting in zip(rows.codec, rows.setting, strict=True)]
    return rows.assign(short=np.where(rows.status == STATUS_REFERENCE, rows.setting, short))


def _columns() -> list[_Column]:
    """The named columns, and between them the other metrics."""
    basis = _Column(set_basis().n, "images of sets", "quality", _decimals(0))
    named = {column.name for column in (*_FIRST, basis, *_LAST)}
    metrics = [
        _Column(name, _metric_heading(metric.label, metric.unit, metric.name, name), "quality", significant)
        for metric in declared()
        for name in columns_of(metric)
        if name not in named
    ]
    return [*_FIRST, *metrics, basis, *_LAST]


def _metric_heading(label: str, unit: str, metric: str, column: str) -> str:
    heading = label if column == metric else f"{label}, {column.removeprefix(f'{metric}_').replace('_', ' ')}"
    return f"{heading}, {unit}" if unit else heading


def _uninformative(rows: pd.DataFrame, name: str) -> bool:
    """True for a column that is empty, or has a single data set, point, reconstruction or kind of rate."""
    if name not in rows:
        return True
    constant = name in ("dataset", "point", "reconstruction") and rows[name].nunique() <= 1
    constant |= name == "rate_kind" and not is_ideal(rows).any()
    return bool(constant or rows[name].isna().all())


def _explanation(name: str) -> str:
    schema = summary_schema()
    if name not in schema.names:
        return ""
    comment = (schema.field(name).metadata or {}).get(b"comment", b"").decode()
    return comment + (", with its 95 % interval" if f"{name}_low" in schema.names else "")


def _cell(row: Mapping[str, Any], column: _Column) -> Cell:
    value = row[column.name]
    if column.name == "setting":
        return Cell(row["short"] or NONE, row["short"], whole=value)
    if column.write is None:
        text = value if isinstance(value, str) else NONE
        return Cell(text, text)
    if math.isnan(value):
        return Cell(NONE, -math.inf)
    if math.isinf(value):
        return Cell("exact", value)
    ends = [row.get(f"{column.name}_{end}", math.nan) for end in ("low", "high")]
    interval = "" if any(map(math.isnan, ends)) else " to ".join(map(column.write, ends))
    return Cell(column.write(value), float(value), interval)
