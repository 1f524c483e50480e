"""Rate-distortion plot: every codec's PSNR against its rate, and above it the rates of lossless coding."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.bench.analysis.curve_styles import CurveStyle, curve_styles, variant_styles
from uqdm.bench.analysis.curves import Curve, curves, lossless
from uqdm.bench.analysis.short_table import absences
from uqdm.bench.analysis.variants import Variant
from uqdm.bench.plots import Plot
from uqdm.bench.plots._published import draw_published, published_note, relations
from uqdm.bench.plots._style import error_bars, message_figure, write_caption
from uqdm.bench.run.rates import NO_FILE, is_ideal, with_rates
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import RATE_IDEAL, STATUS_OK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_WIDTH_IN, _PANEL_HEIGHT_IN = 8.6, 4.6
_LOSSLESS_ROW_IN = 0.21
_LEGEND_WIDTH = 42  # characters of a line
_REASON_LENGTH = 140  # characters of a reason in the picture; the report has all of it
IDEAL = "ideal rate"
LEAST_BPP = 0.02
"""Ideal rates may be near 0; those below this do not extend the axis."""


def draw(run_dir: Path) -> Figure:
    """A panel for each data set of the run."""
    from matplotlib.figure import Figure

    summary = read_summary(run_dir)
    data = [rows for _, rows in summary[summary.status == STATUS_OK].groupby(["dataset", "fingerprint"])]
    if not data:
        return message_figure("Nothing to draw: no codec succeeded on any image. " + " ".join(absences(summary)))
    strip_in = _LOSSLESS_ROW_IN * (1.2 + max(len(lossless(rows)) for rows in data))
    figure = Figure(figsize=(_PANEL_WIDTH_IN * len(data), _PANEL_HEIGHT_IN + strip_in + 1.3))
    notes = [text if len(text) <= _REASON_LENGTH else f"{text[: _REASON_LENGTH - 3]}..." for text in absences(summary)]
    top = write_caption(figure, [caption(run_dir), *notes])
    height, width = float(figure.get_size_inches()[1]), float(figure.get_size_inches()[0])
    axes = figure.subplots(2, len(data), sharex="col", squeeze=False, height_ratios=[strip_in, _PANEL_HEIGHT_IN])
    figure.subplots_adjust(
        left=0.6 / width, right=1 - 0.15 / width, top=1 - 0.35 / height, bottom=top + 0.55 / height, hspace=0.06
    )
    beside = relations(run_dir)
    for (upper, lower), rows in zip(axes.T, data, strict=True):
        dataset = str(rows.dataset.iloc[0])
        drawn, exact = curves(rows), lossless(rows)
        _draw_curves(lower, drawn)
        _draw_lossless(upper, exact, variant_styles(drawn, exact.variant))
        _label_axes(upper, lower, rows)
        draw_published(lower, dataset, beside.get(dataset))
    return figure


def caption(run_dir: Path) -> str:
    """What the plot shows, over how many images, by which protocol."""
    summary = read_summary(run_dir)
    counts = summary[summary.status == STATUS_OK].groupby("dataset")["n"].max()
    images = "; ".join(f"{name}: {n} image{'s' if n != 1 else ''}" for name, n in counts.items())
    return (
        f"{images}. Rate: mean over images of all bits of the file per pixel. PSNR: mean over images of the image's "
        f"PSNR; images reproduced exactly are left out, hollow marks say that some were. Bars: {LEVEL_TEXT} bootstrap "
        "intervals over images. Top: lossless coding, where every image is exact."
        + _dashed(summary)
        + published_note(run_dir)
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


def _draw_curves(axes: Axes, drawn: list[Curve]) -> None:
    styles = curve_styles(drawn)
    for curve in drawn:
        _draw_curve(axes, curve, styles[curve.label])
    if drawn:
        handles = {_legend_text(label): handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        ideal = handles.pop(IDEAL, None)  # last, and once for all curves
        handles |= {IDEAL: ideal} if ideal is not None else {}
        style: dict[str, Any] = {"frameon": True, "framealpha": 0.9, "edgecolor": "#dddddd", "handlelength": 2.6}
        if max(map(len, handles)) > _LEGEND_WIDTH:  # keeps room for the curves
            style |= {"fontsize": 7.5, "labelspacing": 0.3}
        texts = [textwrap.fill(text, _LEGEND_WIDTH, subsequent_indent="  ") for text in handles]
        axes.legend(handles.values(), texts, loc="upper left", **style)


def _legend_text(label: str) -> str:
    return IDEAL if label.endswith(IDEAL) else label


def _draw_curve(axes: Axes, curve: Curve, style: CurveStyle) -> None:
    colour, marker = style.colour, style.marker
    points = curve.points
    rates = points.rate_bpp
    axes.plot(rates, points.psnr_db, ls=style.line, color=colour, lw=1.6, label=curve.title, marker=marker, ms=5)
    some_exact = points[points.exact > 0]
    axes.plot(some_exact.rate_bpp, some_exact.psnr_db, marker, color=colour, mfc="white", ms=5, zorder=3)
    known = points.dropna(subset=["rate_bpp_low", "psnr_db_low"])
    axes.errorbar(
        known.rate_bpp,
        known.psnr_db,
        xerr=error_bars(known.rate_bpp, known.rate_bpp_low, known.rate_bpp_high),
        yerr=error_bars(known.psnr_db, known.psnr_db_low, known.psnr_db_high),
        fmt="none",
        ecolor=colour,
        elinewidth=0.8,
        alpha=0.6,
    )
    ideal = points[points.ideal_bpp > 0]
    if len(ideal) and not curve.ideal:
        label = f"{curve.label}, {IDEAL}"
        axes.plot(ideal.ideal_bpp, ideal.psnr_db, "--", color=colour, lw=1, alpha=0.55, label=label, zorder=1)


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


def _label_axes(upper: Axes, lower: Axes, rows: pd.DataFrame) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    upper.set_title(f"{rows.dataset.iloc[0]}: rate and distortion", loc="left", weight="bold")
    lower.set_xlabel("rate, bits per pixel")
    lower.set_ylabel("PSNR, dB")
    drawn = with_rates(rows).rate_bpp
    rates = drawn[drawn > LEAST_BPP]
    if rates.max() > 10 * rates.min():
        lower.set_xscale("log")
        if (drawn[drawn > 0] <= LEAST_BPP).any():
            lower.set_xlim(left=0.8 * rates.min())
        lower.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        lower.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        lower.xaxis.set_minor_formatter(NullFormatter())


PLOT = Plot(
    "rate_distortion",
    "Rate and distortion",
    draw,
    caption,
    formats=("png", "svg"),
    order=0,
    caption_drawn=True,
    about=(
        "PSNR against rate for every codec of the run. A mark is a setting, or a point of a progressive stream; bars "
        "are 95 % bootstrap intervals over images; a hollow mark says that some images were exact and are left out of "
        "its PSNR. Dashed: ideal rate by the model, without coder and header. Top: rates of lossless coding. Codecs "
        "that were skipped, and images that failed, are named below the plot."
    ),
)
