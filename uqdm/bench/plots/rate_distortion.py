"""Rate-distortion plot: every codec's PSNR against its rate, and above it the rates of lossless coding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.bench.analysis.curve_styles import CurveStyle, curve_styles, variant_styles
from uqdm.bench.analysis.curves import Curve, curves, lossless
from uqdm.bench.analysis.short_table import absences
from uqdm.bench.analysis.variants import Variant
from uqdm.bench.exchange.imported import imported_note, legend_of
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._imported import draw_imported, imported_rates, imported_with
from uqdm.bench.plots._panels import (
    PANEL_HEIGHT_IN,
    arrange,
    draw_curve,
    figure_of,
    legend_beside,
    legend_height_in,
    rate_axis,
)
from uqdm.bench.plots._published import draw_published, legend_lines, matching_sets, published_note, relations
from uqdm.bench.plots._style import write_caption
from uqdm.bench.run.rates import NO_FILE, is_empty, is_ideal, with_rates
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import RATE_IDEAL, STATUS_OK
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from uqdm.bench.exchange.rd_curve import RdCurve

_LOSSLESS_ROW_IN = 0.21
_REASON_LENGTH = 140  # characters of a reason in the picture; the report has all of it
IDEAL = "ideal rate"
LEAST_BPP = 0.02
"""Ideal rates may be near 0; those below this do not extend the axis."""


def draw(run_dir: Path, published: str | None = None) -> Figure:
    """A panel for each data set of the run; ``published`` chooses the curves of others on the same images.

    Raises :class:`~uqdm.bench.plots.NothingToDrawError` if no codec succeeded on any image.
    """
    summary = read_summary(run_dir)
    data = [rows for _, rows in summary[summary.status == STATUS_OK].groupby(["dataset", "fingerprint"])]
    if not data:
        raise NothingToDrawError("; ".join(["no codec succeeded on any image", *absences(summary)]))
    strip_in = _LOSSLESS_ROW_IN * (1.2 + max(len(lossless(rows)) for rows in data))
    sets, beside, imported = matching_sets(run_dir), relations(run_dir), imported_with(run_dir, "psnr_db")
    lines = {str(rows.dataset.iloc[0]): legend_lines(sets.get(str(rows.dataset.iloc[0])), published) for rows in data}
    panel_in = max(PANEL_HEIGHT_IN, *(_legends_in(rows, imported, lines[str(rows.dataset.iloc[0])]) for rows in data))
    figure = figure_of(len(data), panel_in + strip_in)
    notes = [text if len(text) <= _REASON_LENGTH else f"{text[: _REASON_LENGTH - 3]}..." for text in absences(summary)]
    top = write_caption(figure, [caption(run_dir, published), *notes])
    axes = figure.subplots(2, len(data), sharex="col", squeeze=False, height_ratios=[strip_in, panel_in])
    arrange(figure, top, len(data), hspace=0.06)
    for (upper, lower), rows in zip(axes.T, data, strict=True):
        dataset = str(rows.dataset.iloc[0])
        drawn, exact = curves(rows), lossless(rows)
        _draw_curves(lower, drawn, imported)
        _draw_lossless(upper, exact, variant_styles(drawn, exact.variant))
        _label_axes(upper, lower, rows, imported)
        draw_published(lower, sets.get(dataset), beside.get(dataset), published)
    return figure


def caption(run_dir: Path, published: str | None = None) -> str:
    """What the plot shows, over how many images, by which protocol; ``published`` as in :func:`draw`."""
    summary = read_summary(run_dir)
    counts = summary[summary.status == STATUS_OK].groupby("dataset")["n"].max()
    images = "; ".join(f"{name}: {counted(n, 'image')}" for name, n in counts.items())
    return (
        f"{images}. Rate: mean over images of all bits of the file per pixel. PSNR: mean over images of the image's "
        f"PSNR; images reproduced exactly are left out, hollow marks say that some were. Bars: {LEVEL_TEXT} bootstrap "
        "intervals over images. Top: lossless coding, where every image is exact."
        + _dashed(summary)
        + published_note(run_dir, published)
        + f" {imported_note(imported_with(run_dir, 'psnr_db'))}".rstrip()
    )


def _dashed(summary: pd.DataFrame) -> str:
    """The meaning of dashed lines in a run's plot."""
    ideal = is_ideal(summary)
    thin = " Thin and dashed: ideal rate by the model, without coder and header."
    return (thin if summary.ideal_bpp[~ideal].notna().any() else "") + (
        f' Dashed, and "{NO_FILE[1:-1]}" in the legend: what ideal channel simulation would cost. No code of finite '
        "time reaches that rate, and there is no file."
        if ideal.any()
        else ""
    )


def _legends_in(rows: pd.DataFrame, imported: Sequence[RdCurve], published_lines: int) -> float:
    """Inches that the legends beside the panel of a data set need."""
    named = [*(curve.title for curve in curves(rows)), IDEAL, *legend_of(imported)]
    return legend_height_in([*named, *[""] * published_lines])


def _draw_curves(axes: Axes, drawn: list[Curve], imported: Sequence[RdCurve]) -> None:
    styles = curve_styles(drawn)
    handles = {curve.title: draw_curve(axes, curve, styles[curve.label], "psnr_db") for curve in drawn}
    ideal = [_draw_ideal(axes, curve, styles[curve.label]) for curve in drawn]
    if any(line is not None for line in ideal):
        handles[IDEAL] = next(line for line in ideal if line is not None)  # once for all curves
    handles |= draw_imported(axes, imported, drawn, "psnr_db")
    if handles:
        legend_beside(axes, handles)


def _draw_ideal(axes: Axes, curve: Curve, style: CurveStyle) -> Any:
    """The ideal rates beside those of files, or None if there are none."""
    ideal = curve.points_with_bits
    ideal = ideal[ideal.ideal_bpp > 0]
    if curve.ideal or not len(ideal):
        return None
    look: dict[str, Any] = {"color": style.colour, "lw": 1, "alpha": 0.55, "zorder": 1}
    return axes.plot(ideal.ideal_bpp, ideal.psnr_db, "--", label=f"{curve.label}, {IDEAL}", **look)[0]


def _draw_lossless(axes: Axes, rows: pd.DataFrame, styles: Mapping[Variant, CurveStyle]) -> None:
    """A line for each variant of a codec, lowest rate on top, so that labels do not overlap."""
    for height, row in enumerate(records(rows.sort_values("rate_bpp", ascending=False))):
        colour, marker = styles[row["variant"]].colour, styles[row["variant"]].marker
        rate, low = row["rate_bpp"], row["rate_bpp_low"]
        left = rate if np.isnan(low) else low
        axes.plot([low, row["rate_bpp_high"]], [height, height], color=colour, lw=0.9, alpha=0.7)
        axes.plot(rate, height, marker, color=colour, ms=5.5, mfc="white" if row["rate_kind"] == RATE_IDEAL else colour)
        text = f"{row['name']}  {rate:.2f}"
        axes.annotate(text, (left, height), (-9, 0), textcoords="offset points", ha="right", va="center")
    axes.set_ylim(-0.8, max(len(rows), 1) - 0.2)
    axes.set_yticks([])
    axes.tick_params(axis="x", which="both", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_facecolor("#f7f7f7")
    axes.text(
        0.01, 0.5, "lossless" if len(rows) else "lossless: none", transform=axes.transAxes, va="center", weight="bold"
    )


def _label_axes(upper: Axes, lower: Axes, rows: pd.DataFrame, imported: Sequence[RdCurve]) -> None:
    upper.set_title(f"{rows.dataset.iloc[0]}: rate and distortion", loc="left", weight="bold")
    lower.set_ylabel("PSNR, dB")
    rates = with_rates(rows[~is_empty(rows)]).rate_bpp.to_numpy(float)
    rate_axis(lower, np.concatenate([rates, imported_rates(imported)]), LEAST_BPP)


PLOT = Plot(
    "rate_distortion",
    "Rate and distortion",
    draw,
    caption,
    order=0,
    caption_drawn=True,
    shows_published=True,
    about=(
        "PSNR against rate for every codec of the run. A mark is a setting, or a point of a progressive stream; bars "
        "are 95 % bootstrap intervals over images; a hollow mark says that some images were exact and are left out of "
        "its PSNR. Dashed: ideal rate by the model, without coder and header. Top: rates of lossless coding. Codecs "
        "that were skipped, and images that failed, are named below the plot."
    ),
)
