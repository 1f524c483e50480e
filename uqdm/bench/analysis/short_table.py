"""The short table of a run: rates of codecs at equal quality and qualities at equal rate, in a few lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curves import PSNR_LEVELS_DB, Curve, curves, lossless, variant_names, variants
from uqdm.bench.analysis.variants import Variant
from uqdm.bench.metrics import headline_set_metrics, labels_of, set_basis
from uqdm.bench.run.layout import bd_path, plots_dir, report_path, rows_dir, summary_path
from uqdm.bench.run.rates import is_ideal, labelled, with_rates
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE, STATUS_SKIPPED

if TYPE_CHECKING:
    import pandas as pd

NONE = "-"
EXACT = "exact"
"""Text of an infinite PSNR."""
ROUGH_DB = 5
"""Interpolation between points further apart than this is marked as doubtful."""

_LINES = 20  # lines of codecs and notes in a short table; the full table is in the summary
_NOTES = 4  # lines of notes on metrics of sets
_ERROR_LENGTH = 160  # characters of a reason


@dataclass(frozen=True)
class Near:
    """A measured point near a rate that codecs are compared at.

    ``of_sets`` are the metrics of sets of the short table, in their order; None where one was not computed.
    """

    bpp: float
    psnr_db: float
    of_sets: tuple[float | None, ...]

    def cells(self) -> list[str]:
        """The point as text."""
        psnr = EXACT if math.isinf(self.psnr_db) else f"{self.psnr_db:.1f}"
        return [f"{self.bpp:.2f}", psnr, *_set_cells(self.of_sets)]


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
    near: Near | None = None
    settings: str = ""

    @property
    def title(self) -> str:
        """The label with the settings of the curve."""
        return f"{self.label} ({self.settings})" if self.settings else self.label

    def cells(self) -> list[str]:
        """The line as text, as under :func:`headings`."""
        marks = ["~" if rough else "" for rough in (*self.rough, False)]
        rates = (*self.bpp_at, self.lossless_bpp)
        texts = [NONE if rate is None else f"{mark}{rate:.3f}" for rate, mark in zip(rates, marks, strict=True)]
        near = self.near.cells() if self.near else [NONE] * len(near_headings())
        return [self.label, *texts, *near, str(self.n), str(self.failed)]


def near_headings() -> tuple[str, ...]:
    """Headings of the cells of :class:`Near`."""
    return ("bpp", "PSNR", *(metric.label for metric in headline_set_metrics()))


def headings() -> tuple[str, ...]:
    """Headings of the cells of :class:`Line`."""
    levels = (f"{level} dB" for level in PSNR_LEVELS_DB)
    return ("codec", *levels, "lossless", *near_headings(), "images", "failed")


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


def short_table(summary: pd.DataFrame) -> str:
    """At most 25 lines of text: bits per pixel of each codec at a few PSNR levels and lossless, and PSNR and metrics
    of sets at the measured point that is nearest to one rate.

    Rates between the measured points are interpolated (see :meth:`uqdm.bench.analysis.curves.Curve.bpp_at`).
    """
    found = lines(summary)
    parts = {name: summary[summary.dataset == name] for name in dict.fromkeys(line.dataset for line in found)}
    notes = [note for data in parts.values() for note in _notes(data)][:_NOTES]
    kept = _fitting(found, _LINES - len(notes) - 2 * len(parts))
    text: list[str] = []
    for name, data in parts.items():
        text.append(
            f"{name}: bits per pixel at equal PSNR (interpolated, ~ over more than {ROUGH_DB} dB) and lossless; "
            f"{', '.join(near_headings()[1:])} at the point {_where(common_rate(data))}"
        )
        text += _aligned([list(headings()), *(line.cells() for line in kept if line.dataset == name)])
    if len(kept) < len(found):
        text.append(f"... and {len(found) - len(kept)} lines more: see the summary")
    text += _settings(kept)[: max(_LINES - len(notes) - len(text), 0)]
    text += notes
    gone = [_shortened(reason) for reason in absences(summary)]
    return "\n".join([*text, *gone[:3], *([f"... and {len(gone) - 3} reasons more: see the report"] * (len(gone) > 3))])


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


def closing_message(run_dir: Path) -> str:
    """The message at the end of a run: its short table, and the paths of report, plots, summary and rows that exist."""
    places = {
        "report": report_path(run_dir),
        "plots": plots_dir(run_dir),
        "summary": summary_path(run_dir),
        "as CSV": summary_path(run_dir, ".csv"),
        "BD-rates": bd_path(run_dir),
        "rows": rows_dir(run_dir),
    }
    table = [short_table(read_summary(run_dir)), ""] if summary_path(run_dir).is_file() else []
    return "\n".join([*table, *(f"{name:8} {path}" for name, path in places.items() if path.exists())])


def common_rate(summary: pd.DataFrame) -> float:
    """The rate at which the codecs of one data set are compared: the median over curves of their median rate.

    If any points have the first set metric, only these count; if there are any rates of files, only these count.
    """
    drawn = curves(summary)
    drawn = [curve for curve in drawn if not curve.ideal] or drawn
    middles = [float(np.median(_with_sets(curve.points).rate_bpp)) for curve in drawn]
    return float(np.median(middles)) if middles else math.nan


def _where(rate_bpp: float) -> str:
    """Which point of a codec is shown; without curves there is no rate to compare at.

    >>> _where(1.25), _where(math.nan)
    ('nearest 1.2 bpp', 'of lowest rate')
    """
    return "of lowest rate" if math.isnan(rate_bpp) else f"nearest {rate_bpp:.2g} bpp"


def _with_sets(points: pd.DataFrame) -> pd.DataFrame:
    """The points that have the first metric of sets, or all if none has it."""
    known = [points[points[metric.name].notna()] for metric in headline_set_metrics()[:1]]
    return known[0] if known and len(known[0]) else points


def _near(points: pd.DataFrame, bpp: float) -> Near | None:
    """The point of the rate nearest to ``bpp``, by ratio."""
    points = _with_sets(points[(points.status == STATUS_OK) & (points.rate_bpp > 0)])
    if points.empty:
        return None
    ratios = np.abs(np.log(points.rate_bpp / bpp)) if bpp > 0 else points.rate_bpp
    row = records(points)[int(np.argmin(ratios))]
    return Near(row["rate_bpp"], row["psnr_db"], _of_sets(row))


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
    ok = summary[(summary.status == STATUS_OK) & summary[basis.n].notna()]
    if ok.empty:
        stated = (reasons.get(first) for reasons in summary.unscored if isinstance(reasons, Mapping))
        reasons = list(dict.fromkeys(filter(None, stated)))
        return [_shortened(f"no {labels_of(metrics)}: {reason}") for reason in reasons[:1]]
    counts = sorted({int(n) for n in ok[basis.n]})
    images = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    flagged = f"; {basis.caution}: compare at this n only" if ok[basis.warning].notna().any() else ""
    notes = [f"{', '.join(near_headings()[2:])}: n={images} images{flagged}"]
    for floor in records(summary[(summary.status == STATUS_REFERENCE) & summary[first].notna()]):
        cells = zip(near_headings()[2:], _set_cells(_of_sets(floor)), strict=True)
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
        near=_near(curve.points if curve else rows, rate),
        settings=curve.settings if curve else "",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width; the first is text, the others are figures."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return ["  ".join(row) for row in padded]


def _shortened(text: str) -> str:
    return text if len(text) <= _ERROR_LENGTH else f"{text[: _ERROR_LENGTH - 3]}..."
