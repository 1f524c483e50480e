"""The tables of all results and of costs: their columns and the format of their numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curves import curves, short_settings, variants
from uqdm.bench.analysis.short_table import NONE
from uqdm.bench.metrics import Metric, SetMetric, columns_of, declared, set_basis, summary_schema
from uqdm.bench.run.rates import is_ideal
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE

if TYPE_CHECKING:
    import pandas as pd

_SHORT = 28
"""Longest text, in characters, that is kept on one line."""
_LONG = 120
"""Longest text that is shown in full at first."""


@dataclass(frozen=True)
class Cell:
    """A cell: text, sort value, interval if there is one, and the full text where ``text`` is shortened.

    ``svg`` is a drawing that is shown in place of the text, which then describes it.
    """

    text: str
    value: float | str
    interval: str = ""
    whole: str = ""
    svg: str = ""

    @property
    def layout(self) -> str:
        """How the page lays a text out: ``short`` on one line, ``fold`` within a few lines until it is unfolded.

        ``broken`` may break within its words, which would not fit a column.

        >>> [Cell(text, text).layout for text in ("jpeg-tuned", "a text of several words that fits", "x" * 40)]
        ['short', '', 'broken']
        """
        if len(self.text) > _LONG:
            return "fold"
        if len(self.text) <= _SHORT:
            return "short"
        return "broken" if max(map(len, re.split(r"[\s,]", self.text))) > _SHORT else ""


@dataclass(frozen=True)
class Heading:
    """A heading: text, explanation of the column, and the group that shows it (empty: always shown)."""

    text: str
    explanation: str = ""
    group: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Headings, rows, and for each row the keys by which controls of the page hide it.

    ``codec`` and ``curve`` (labels of curves, one a line) are keys of the codec filter. A row without keys stays.
    """

    headings: list[Heading]
    rows: list[list[Cell]]
    keys: list[Mapping[str, str]] = field(default_factory=list)


GROUPS = {"rate": "rate and distortion", "quality": "other metrics"}
"""Groups of columns with their names; columns without a group are always shown."""
COST = "cost"
"""The columns of the table of costs."""


@dataclass(frozen=True)
class _Column:
    """A column of the summary. ``write`` formats a number; a column without it has text.

    ``spread`` is the column with the standard deviation of the value, which has no interval.
    """

    name: str
    heading: str
    group: str = ""
    write: Callable[[float], str] | None = None
    spread: str | None = None


def _decimals(count: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.{count}f}"


def significant(value: float, digits: int = 4) -> str:
    """A number with ``digits`` significant digits, of which trailing zeros stay.

    >>> significant(0.98765), significant(123.456), significant(12345.6), significant(0)
    ('0.9877', '123.5', '12,346', '0')
    >>> significant(0.0123456, 3), significant(1234.5, 3), significant(9999.6)
    ('0.0123', '1,234', '10,000')
    """
    text = f"{value:#,.{digits}g}".removesuffix(".")
    return f"{value:,.0f}" if not value or "e+" in text else text


def _three_digits(value: float) -> str:
    return significant(value, 3)


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
    _Column("target", "target", "rate"),
    _Column("target_error", "off target", "rate", significant),
    _Column("target_tries", "tries", COST, with_prefix),
    _Column("n", "images", "rate", _decimals(0)),
    _Column("failed", "failed", "rate", _decimals(0)),
    _Column("exact", "exact", "rate", _decimals(0)),
    _Column("rate_kind", "rate of", "rate"),
    _Column("bpp", "rate, bpp", "rate", _decimals(3)),
    _Column("ideal_bpp", "ideal, bpp", "rate", _decimals(3)),
    _Column("psnr_db", "PSNR, dB", "rate", _decimals(2)),
    _Column("mse", "MSE", "rate", significant),
)
_LAST = (
    _Column("encode_ms", "encode, ms", COST, _three_digits),
    _Column("decode_ms", "decode, ms", COST, _three_digits),
    _Column("timing_repeats", "timing rounds", COST, _decimals(0)),
    _Column("encode_ms_min", "least encode, ms", COST, _three_digits),
    _Column("encode_ms_median", "median encode, ms", COST, _three_digits),
    _Column("decode_ms_min", "least decode, ms", COST, _three_digits),
    _Column("decode_ms_median", "median decode, ms", COST, _three_digits),
    _Column("batch_size", "batch", COST, with_prefix),
    _Column("device", "device", COST),
    _Column("threads", "threads", COST, with_prefix),
    _Column("encode_calls", "calls to encode", COST, with_prefix),
    _Column("decode_calls", "calls to decode", COST, with_prefix),
    _Column("macs_per_pixel", "MACs per pixel", COST, with_prefix),
    _Column("peak_memory_bytes", "peak memory", COST, in_mebibytes),
)


def full_table(summary: pd.DataFrame) -> Table:
    """Rates and qualities: the rows of the summary that have pictures or are references."""
    shown = summary[summary.status.isin([STATUS_OK, STATUS_REFERENCE])]
    return _table(summary, shown, [column for column in _columns() if column.group != COST])


def cost_table(summary: pd.DataFrame) -> Table | None:
    """Times, network calls and memory; None if the summary has none of them."""
    shown = summary[summary.status == STATUS_OK]
    table = _table(summary, shown, [column for column in _columns() if column.group in ("", COST)])
    return table if any(heading.group == COST for heading in table.headings) else None


def _table(summary: pd.DataFrame, shown: pd.DataFrame, columns: Sequence[_Column]) -> Table:
    """The rows ``shown``, without columns that carry no information."""
    columns = [column for column in columns if not _uninformative(shown, column.name)]
    headings = [_heading(column) for column in columns]
    rows = [[_cell(row, column) for column in columns] for row in records(_shortened(shown))]
    return Table(headings, rows, _keys(summary, shown))


def _heading(column: _Column) -> Heading:
    return Heading(column.heading, _explanation(column), column.group, column.write is not None)


def _keys(summary: pd.DataFrame, shown: pd.DataFrame) -> list[Mapping[str, str]]:
    """Codec and curves of each row, the latter one a line; references have none."""
    labels = curve_labels(summary)
    return [
        {}
        if status == STATUS_REFERENCE
        else {"codec": str(codec)} | ({"curve": "\n".join(labels[index])} if labels.get(index) else {})
        for index, codec, status in zip(shown.index, shown.codec, shown.status, strict=True)
    ]


def curve_labels(summary: pd.DataFrame) -> dict[int, list[str]]:
    """For each row with pictures, by its index, the labels of the curves that it is shown with.

    A point belongs to its curve. A row of exact pictures is in no curve, and is shown with the curves of its variant:
    with the one of its kind of pictures, if there is one.
    """
    found: dict[int, list[str]] = {}
    for _, data in summary[summary.status == STATUS_OK].groupby(["dataset", "fingerprint"]):
        drawn = curves(data)
        for index, variant, way in zip(data.index, variants(data), data.reconstruction, strict=True):
            own = [curve for curve in drawn if curve.variant == variant]
            choices = (
                [curve for curve in own if index in curve.points.index],
                [curve for curve in own if curve.reconstruction == way],
                own,
            )
            found[index] = [curve.label for curve in next(filter(None, choices), [])]
    return found


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
        _metric_column(metric, name)
        for metric in declared()
        for name in columns_of(metric)
        if name not in named and name != _spread(metric)
    ]
    return [*_FIRST, *metrics, basis, *_LAST]


def _metric_column(metric: Metric | SetMetric, name: str) -> _Column:
    heading = _metric_heading(metric.label, metric.unit, metric.name, name)
    return _Column(name, heading, "quality", significant, _spread(metric) if name == metric.name else None)


def _spread(metric: Metric | SetMetric) -> str | None:
    return metric.spread if isinstance(metric, SetMetric) else None


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


def _explanation(column: _Column) -> str:
    schema = summary_schema()
    if column.name not in schema.names:
        return ""
    comment = (schema.field(column.name).metadata or {}).get(b"comment", b"").decode()
    below = ", with its 95 % interval" if f"{column.name}_low" in schema.names else ""
    return comment + (", with its standard deviation (sd)" if column.spread else below)


def _cell(row: Mapping[str, Any], column: _Column) -> Cell:
    value = row[column.name]
    if column.name == "setting":
        return Cell(row["short"] or NONE, row["short"], whole=value)
    if column.write is None:
        text = value if isinstance(value, str) else NONE
        return Cell(text, text)
    if math.isnan(value):
        return Cell(NONE, math.nan)
    if math.isinf(value):
        return Cell("exact", value)
    if column.spread is not None and (row.get(column.spread) or math.nan) > 0:
        return _with_deviation(value, row[column.spread])
    ends = [row.get(f"{column.name}_{end}", math.nan) for end in ("low", "high")]
    interval = "" if any(map(math.isnan, ends)) else " to ".join(map(column.write, ends))
    return Cell(column.write(value), float(value), interval)


def _with_deviation(value: float, deviation: float) -> Cell:
    """A number and its standard deviation, to the second significant digit of the latter.

    >>> cell = _with_deviation(0.0123456, 0.00204)
    >>> cell.text, cell.interval
    ('0.0123', 'sd 0.0020')
    """
    decimals = max(0, 1 - math.floor(math.log10(deviation)))
    return Cell(f"{value:,.{decimals}f}", float(value), f"sd {deviation:,.{decimals}f}")
