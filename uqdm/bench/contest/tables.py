"""The tables of a contest: every codec at each rate, and who takes part."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uqdm.bench.analysis.curves import Curve
from uqdm.bench.analysis.short_table import NONE
from uqdm.bench.contest.curves import Entrant, value_at
from uqdm.bench.metrics import Metric, SetMetric, declared
from uqdm.bench.report.results_table import Cell, Heading, Table, significant, with_prefix
from uqdm.bench.run.rates import NO_FILE

_COSTS: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("encode_calls", "calls to encode", "network calls to encode the whole stream", with_prefix),
    ("decode_calls", "calls to decode", "network calls from the stream to the picture", with_prefix),
    ("encode_ms", "encode, ms", "time to encode the whole stream of one picture", lambda value: significant(value, 3)),
    ("decode_ms", "decode, ms", "time from the stream to the picture", lambda value: significant(value, 3)),
)
_ROUGH = "~"


@dataclass(frozen=True)
class RateTable:
    """All codecs at one rate."""

    rate_bpp: float
    table: Table


def shown_metrics(entrants: Sequence[Entrant]) -> list[Metric | SetMetric]:
    """The metrics that some curve has, PSNR first, those of sets last; not the squared error, which PSNR tells."""
    drawn = [curve for one in entrants for curve in one.curves]
    found = [
        metric
        for metric in declared()
        if metric.name != "mse"
        and any(metric.name in one.points and one.points[metric.name].notna().any() for one in drawn)
    ]
    return sorted(found, key=lambda metric: (metric.unit != "dB", isinstance(metric, SetMetric)))


def rate_table(entrants: Sequence[Entrant], metrics: Sequence[Metric | SetMetric], rate_bpp: float) -> RateTable:
    """A row for each curve: metrics and costs at a rate, between measured points."""
    headings = [Heading("codec and picture")]
    headings += [Heading(_label(metric), f"at {rate_bpp:g} bpp", numeric=True) for metric in metrics]
    headings += [Heading(text, explanation, numeric=True) for _, text, explanation, _ in _COSTS]
    rows = [_row(curve, metrics, rate_bpp) for one in entrants for curve in one.curves]
    return RateTable(rate_bpp, Table(headings, rows))


def _label(metric: Metric | SetMetric) -> str:
    return f"{metric.label}, {metric.unit}" if metric.unit else metric.label


def _row(curve: Curve, metrics: Sequence[Metric | SetMetric], rate_bpp: float) -> list[Cell]:
    cells = [Cell(curve.label, curve.label)]
    cells += [_cell(curve, metric.name, rate_bpp, _writer(metric)) for metric in metrics]
    return [*cells, *(_cell(curve, column, rate_bpp, write) for column, _, _, write in _COSTS)]


def _writer(metric: Metric | SetMetric) -> Callable[[float], str]:
    return (lambda value: f"{value:.2f}") if metric.unit == "dB" else (lambda value: significant(value, 3))


def _cell(curve: Curve, column: str, rate_bpp: float, write: Callable[[float], str]) -> Cell:
    value, is_rough = value_at(curve, column, rate_bpp)
    if math.isnan(value):
        return Cell(NONE, math.nan)
    return Cell(f"{_ROUGH if is_rough else ''}{write(value)}", value)


def entrant_table(entrants: Sequence[Entrant]) -> Table:
    """Who takes part: codec, what it is, its pictures, the rates of its points; or why it was not run."""
    headings = [Heading("name"), Heading("codec"), Heading("what it is"), Heading("rate of"), Heading("pictures")]
    headings += [Heading("points, bpp"), Heading("run")]
    return Table(headings, [[Cell(text, text) for text in _facts(one)] for one in entrants])


def _facts(one: Entrant) -> list[str]:
    if not one.curves:
        return [one.name, one.codec or NONE, one.about or NONE, NONE, NONE, NONE, f"not run: {one.absent}"]
    ways = ", ".join(curve.reconstruction for curve in one.curves)
    rates = one.curves[0].points_with_bits.rate_bpp
    spread = f"{rates.min():.3f} to {rates.max():.3f} ({len(rates)})" if len(rates) else NONE
    kind = NO_FILE.strip("()") if one.curves[0].ideal else "files"
    return [one.name, one.codec, one.about or NONE, kind, ways, spread, "yes"]
