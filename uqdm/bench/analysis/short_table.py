"""The short table of a run: rates of codecs at equal quality and qualities at one rate, in a few lines."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curves import PSNR_LEVELS_DB, Curve, curves, lossless, variant_names, variants
from uqdm.bench.analysis.folded_rows import folded_rows
from uqdm.bench.analysis.variants import Variant
from uqdm.bench.metrics import headline_set_metrics, labels_of, set_basis
from uqdm.bench.run.layout import bd_path, plots_dir, report_path, rows_dir, summary_path
from uqdm.bench.run.rates import is_ideal, labelled, with_rates
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE, STATUS_SKIPPED
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

NONE = "-"
EXACT = "exact"
"""Text of an infinite PSNR."""
ROUGH_DB = 5
"""Interpolation between points further apart than this is marked as doubtful."""
ROUGH_RATIO = 2
"""Interpolation at a rate between points of which one has more than this many times the rate of the other is, too."""
WIDTH = 80
"""Longest line in characters, except for paths."""

MOST_LINES = 25
_NOTES = 4  # notes on metrics of sets
_REASONS = 3
_ERROR_LENGTH = 150  # characters of a reason or note: two lines
_ROUGH = "~"


@dataclass(frozen=True)
class AtRate:
    """PSNR and the metrics of sets of the short table, in their order, at the rate that codecs are compared at.

    A value is None if the curve has no points on both sides of the rate. ``rough`` marks values between points of which
    one has over ``ROUGH_RATIO`` times the rate of the other.
    """

    values: tuple[float | None, ...]
    rough: tuple[bool, ...]

    def cells(self) -> list[str]:
        """The values as text."""
        decimals = (1, *(metric.short_decimals for metric in headline_set_metrics()))
        parts = zip(self.values, self.rough, decimals, strict=True)
        return [_cell(value, rough, places or 0) for value, rough, places in parts]


def _cell(value: float | None, rough: bool, decimals: int) -> str:
    return NONE if value is None else f"{_ROUGH if rough else ''}{value:.{decimals}f}"


@dataclass(frozen=True)
class Line:
    """One codec on one data set with one kind of reconstruction; the label says where rates are ideal.

    A rate is None if the curve does not reach the level; ``rough`` marks rates between points over ``ROUGH_DB`` apart.
    """

    dataset: str
    codec: str
    label: str
    bpp_at: tuple[float | None, ...]
    rough: tuple[bool, ...]
    lossless_bpp: float | None
    n: int
    failed: int
    at_rate: AtRate | None = None
    settings: str = ""

    @property
    def title(self) -> str:
        """The label with the settings of the curve."""
        return f"{self.label} ({self.settings})" if self.settings else self.label

    def cells(self) -> list[str]:
        """The line as text, as under :func:`headings`."""
        parts = zip((*self.bpp_at, self.lossless_bpp), (*self.rough, False), strict=True)
        rates = [_cell(rate, rough, 3) for rate, rough in parts]
        at_rate = self.at_rate.cells() if self.at_rate else [NONE] * len(at_rate_headings())
        return [self.label, *rates, *at_rate, str(self.n), str(self.failed)]


def at_rate_headings() -> tuple[str, ...]:
    """Headings of the cells of :class:`AtRate`."""
    return ("PSNR", *(metric.label for metric in headline_set_metrics()))


def headings() -> tuple[str, ...]:
    """Headings of the cells of :class:`Line`."""
    levels = (f"{level} dB" for level in PSNR_LEVELS_DB)
    return ("codec", *levels, "lossless", *at_rate_headings(), "images", "failed")


def lines(summary: pd.DataFrame) -> list[Line]:
    """A line for each curve, and for each codec that ran but has no curve, lowest rate first."""
    return [line for _, data in summary.groupby(["dataset", "fingerprint"]) for line in _dataset_lines(data)]


def absences(summary: pd.DataFrame) -> list[str]:
    """What the curves lack, and why: skipped codecs and failed images, one text each.

    The full reasons are in the summary's column ``error``.
    """
    texts = []
    for (dataset, codec), rows in summary[summary.error.notna()].groupby(["dataset", "codec"]):
        on = f" on {dataset}" if summary.dataset.nunique() > 1 else ""
        skipped = rows[rows.status == STATUS_SKIPPED]
        failed = rows[rows.failed > 0]
        if len(skipped):
            texts.append(f"{codec}{on} skipped: {skipped.error.iloc[0]}")
        if len(failed):
            count = int(failed.drop_duplicates("setting").failed.sum())
            texts.append(f"{codec}{on}: {count} failed, the first with {failed.error.iloc[0]}")
    return texts


def short_table(summary: pd.DataFrame, most_lines: int | None = MOST_LINES) -> str:
    """At most ``most_lines`` lines (None: all) of 80 characters, with a line for each codec.

    A line has bits per pixel at a few PSNR levels and lossless, and PSNR and metrics of sets at one rate.
    Values between the measured points are interpolated (see :meth:`uqdm.bench.analysis.curves.Curve.bpp_at` and
    :meth:`~uqdm.bench.analysis.curves.Curve.at_rate`).
    """
    found = lines(summary)
    parts = {name: summary[summary.dataset == name] for name in dict.fromkeys(line.dataset for line in found)}
    below = _folded([note for data in parts.values() for note in _notes(data)][:_NOTES])
    reasons = _reasons(summary)
    room = sys.maxsize if most_lines is None else most_lines - len(below) - len(reasons)
    kept, text = _fitting_tables(found, {name: common_rate(data) for name, data in parts.items()}, room)
    text += _folded(_settings(kept))[: max(room - len(text), 0)]
    return "\n".join([*text, *below, *reasons])


def _fitting_tables(found: list[Line], rates: Mapping[str, float], room: int) -> tuple[list[Line], list[str]]:
    """The tables of as many lines as ``room`` lines of text hold, by data set with its common rate, and these lines."""
    kept = _fitting(found, room)
    while True:
        text = [one for name, rate in rates.items() for one in _table(name, rate, kept)]
        if any(_ROUGH in one for one in text):
            text += _folded([_legend()])
        if len(kept) < len(found):
            text.append(f"... and {counted(len(found) - len(kept), 'line')} more: see the summary")
        if len(text) <= room or not kept:
            return kept, text
        kept = _fitting(kept, len(kept) - 1)


def _legend() -> str:
    return f"{_ROUGH} interpolated between points over {ROUGH_DB} dB or a factor of {ROUGH_RATIO} in rate apart"


def _table(dataset: str, rate: float, kept: Sequence[Line]) -> list[str]:
    """The lines of one data set. Counts that are the same for all are in its title."""
    kept = [line for line in kept if line.dataset == dataset]
    rows = [list(headings()), *(line.cells() for line in kept)]
    images = {line.n for line in kept}
    title = [dataset]
    if len(images) == 1:
        title.append(counted(images.pop(), "image"))
        rows = [[*row[:-2], row[-1]] for row in rows]
    if not any(line.failed for line in kept):
        rows = [row[:-1] for row in rows]
    at = "" if math.isnan(rate) else f"; {', '.join(at_rate_headings())} at {rate:.3g} bpp"
    shown = f"{', '.join(title)}: bpp at equal PSNR and lossless{at}"
    return [*_folded([shown]), *(line for row in folded_rows(rows, WIDTH) for line in row)]


def _folded(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]


def _reasons(summary: pd.DataFrame) -> list[str]:
    """Why curves are lacking, in a few lines."""
    gone = [_shortened(reason) for reason in absences(summary)]
    more = len(gone) - _REASONS
    return _folded([*gone[:_REASONS], *([f"... and {counted(more, 'reason')} more: see the report"] * (more > 0))])


def _settings(kept: Sequence[Line]) -> list[str]:
    """The settings of the lines, each once."""
    texts = dict.fromkeys(f"{line.label}: {line.settings}" for line in kept if line.settings)
    return [_shortened(text) for text in texts]


def _fitting(found: list[Line], room: int) -> list[Line]:
    """At most ``room`` lines. A codec's second and further lines are dropped first, from the end."""
    kept = list(found)
    firsts = {(line.dataset, line.codec): line for line in reversed(found)}
    for line in reversed(found):
        if len(kept) > room and firsts[line.dataset, line.codec] is not line:
            kept = [other for other in kept if other is not line]
    return kept[: max(room, 0)]


def closing_message(run_dir: Path, most_lines: int | None = MOST_LINES) -> str:
    """The message at the end of a run: its short table, and the paths of report, plots, summary and rows that exist.

    ``most_lines`` is as in :func:`short_table`.
    """
    places = {
        "report": report_path(run_dir),
        "plots": plots_dir(run_dir),
        "summary": summary_path(run_dir),
        "as CSV": summary_path(run_dir, ".csv"),
        "BD-rates": bd_path(run_dir),
        "rows": rows_dir(run_dir),
    }
    table = [short_table(read_summary(run_dir), most_lines), ""] if summary_path(run_dir).is_file() else []
    return "\n".join([*table, *(f"{name:8} {path}" for name, path in places.items() if path.exists())])


def common_rate(summary: pd.DataFrame) -> float:
    """The rate at which the codecs of one data set are compared: the median over curves of their median rate.

    If any points have the first set metric, only these count; if there are any rates of files, only these count.
    """
    drawn = curves(summary)
    drawn = [curve for curve in drawn if not curve.ideal] or drawn
    shown = [_with_sets(curve.points_with_bits) for curve in drawn]
    middles = [float(np.median(points.rate_bpp)) for points in shown if len(points)]
    return float(np.median(middles)) if middles else math.nan


def _with_sets(points: pd.DataFrame) -> pd.DataFrame:
    """The points that have the first metric of sets, or all if none has it."""
    known = [points[points[metric.name].notna()] for metric in headline_set_metrics()[:1]]
    return known[0] if known and len(known[0]) else points


def _at_rate(curve: Curve, bpp: float) -> AtRate:
    """The values of a curve at a rate."""
    found = [curve.at_rate(name, bpp) for name in ("psnr_db", *(metric.name for metric in headline_set_metrics()))]
    return AtRate(tuple(_known(one.value) for one in found), tuple(one.ratio > ROUGH_RATIO for one in found))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _of_sets(row: Mapping[str, Any]) -> tuple[float | None, ...]:
    return tuple(_known(row[metric.name]) for metric in headline_set_metrics())


def _set_cells(values: Sequence[float | None]) -> list[str]:
    """Values of the metrics of sets as text, each with its decimals."""
    pairs = zip(values, headline_set_metrics(), strict=True)
    return [NONE if value is None else f"{value:.{metric.short_decimals}f}" for value, metric in pairs]


def _notes(summary: pd.DataFrame) -> list[str]:
    """Notes on the set metrics of one data set: number of images, warning, and floor; or why there are none."""
    metrics = headline_set_metrics()
    if not metrics:
        return []
    basis = set_basis()
    first = metrics[0].name
    shown = summary[[metric.name for metric in metrics]].notna().any(axis=1)
    ok = summary[(summary.status == STATUS_OK) & summary[basis.n].notna() & shown]
    if ok.empty:
        stated = (reasons.get(first) for reasons in summary.unscored if isinstance(reasons, Mapping))
        reasons = list(dict.fromkeys(filter(None, stated)))
        return [_shortened(f"no {labels_of(metrics)}: {reason}") for reason in reasons[:1]]
    counts = sorted({int(n) for n in ok[basis.n]})
    images = counted(counts[0], "image") if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,} images"
    flagged = f"; {basis.caution}: compare at this n only" if ok[basis.warning].notna().any() else ""
    notes = [f"{', '.join(at_rate_headings()[1:])}: n={images}{flagged}"]
    for floor in records(summary[(summary.status == STATUS_REFERENCE) & summary[first].notna()]):
        cells = zip(at_rate_headings()[1:], _set_cells(_of_sets(floor)), strict=True)
        values = ", ".join(f"{label} {cell}" for label, cell in cells)
        notes.append(f"floor: originals, {floor['setting']} (n={floor[basis.n]:.0f}): {values}")
    return notes


def _dataset_lines(summary: pd.DataFrame) -> list[Line]:
    drawn, rate = curves(summary), common_rate(summary)
    exact = lossless(summary).set_index("variant")["rate_bpp"]
    summary = summary.assign(variant=variants(summary))
    ran = summary[~summary.status.isin([STATUS_SKIPPED, STATUS_REFERENCE])]
    names = variant_names(ran)
    found = [_line(summary, curve.variant, curve.label, curve, exact.get(curve.variant), rate) for curve in drawn]
    others = names.keys() - {curve.variant for curve in drawn}
    bare = [_line(summary, variant, names[variant], None, exact.get(variant), rate) for variant in others]
    return found + sorted(bare, key=lambda line: (line.lossless_bpp or math.inf, line.label))


def _line(
    summary: pd.DataFrame, variant: Variant, label: str, curve: Curve | None, exact_bpp: float | None, rate: float
) -> Line:
    rows = with_rates(summary[summary.variant == variant])
    rates = [curve.bpp_at(level) if curve else math.nan for level in PSNR_LEVELS_DB]
    return Line(
        dataset=str(summary.dataset.iloc[0]),
        codec=variant.codec,
        label=label if curve else labelled(label, bool(is_ideal(rows).any())),
        rough=tuple(curve is not None and curve.gap_db(level) > ROUGH_DB for level in PSNR_LEVELS_DB),
        bpp_at=tuple(None if math.isnan(rate) else rate for rate in rates),
        lossless_bpp=None if exact_bpp is None else float(exact_bpp),
        n=int((curve.points if curve else rows).n.max()),
        failed=int(rows.drop_duplicates("setting").failed.sum()),
        at_rate=_at_rate(curve, rate) if curve else None,
        settings=curve.settings if curve else "",
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _ERROR_LENGTH else f"{text[: _ERROR_LENGTH - 3]}..."
