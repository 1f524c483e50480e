"""Panels of curves against rate: the curves with their intervals, the axis of rates, and a legend beside the panel."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.plots._style import error_bars

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from uqdm.bench.analysis.curve_styles import CurveStyle
    from uqdm.bench.analysis.curves import Curve

PANEL_WIDTH_IN, PANEL_HEIGHT_IN = 6.2, 4.4
LEGEND_WIDTH_IN = 2.9
MARGINS_IN = {"left": 0.95, "right": 0.1, "top": 0.35, "bottom": 0.55}
"""Room around the panels, for the labels of their axes; the caption is below it."""

_LEGEND_COLUMNS = 38  # characters of a line
_LONGEST_TITLE = 76  # characters of a curve in a legend; tables have all of it
_LEGEND_LINE_IN = 0.155
_LEGEND_SIZE = 8


def legend_texts(titles: Sequence[str]) -> list[str]:
    """Titles of curves for a legend: long ones are cut, and folded into lines.

    >>> legend_texts(["jpeg", "avif (" + "subsampling=4:2:0; " * 9 + ")"])[1].splitlines()
    ['avif (subsampling=4:2:0;', '  subsampling=4:2:0;', '  subsampling=4:2:0; ...']
    """
    cut = [textwrap.shorten(title, _LONGEST_TITLE, placeholder=" ...") for title in titles]
    return [textwrap.fill(title, _LEGEND_COLUMNS, subsequent_indent="  ") for title in cut]


def legend_height_in(titles: Sequence[str]) -> float:
    """Inches that a legend of these titles needs."""
    return _LEGEND_LINE_IN * (2 + sum(text.count("\n") + 1 for text in legend_texts(titles)))


def legend_beside(axes: Axes, handles: Mapping[str, Any], anchor: float = 1.0) -> None:
    """A legend to the right of a panel, where it covers nothing; ``anchor`` is the height of its top in the panel."""
    axes.legend(
        list(handles.values()),
        legend_texts(list(handles)),
        loc="upper left",
        bbox_to_anchor=(1.01, anchor),
        borderaxespad=0,
        frameon=False,
        fontsize=_LEGEND_SIZE,
        handlelength=2.6,
    )


def figure_of(n_panels: int, height_in: float = PANEL_HEIGHT_IN, n_rows: int = 1) -> Figure:
    """An empty figure for panels in a row, each with its legend, and a caption below them."""
    from matplotlib.figure import Figure

    width = n_panels * (PANEL_WIDTH_IN + LEGEND_WIDTH_IN)
    return Figure(figsize=(width, n_rows * height_in + 1.6))


def arrange(figure: Figure, caption_top: float, n_panels: int, **more: float) -> None:
    """Places the panels of a figure above its caption, with room for the legend of each."""
    width, height = map(float, figure.get_size_inches())
    each = width / n_panels
    panel = each - MARGINS_IN["left"] - LEGEND_WIDTH_IN
    figure.subplots_adjust(
        left=MARGINS_IN["left"] / width,
        right=1 - (LEGEND_WIDTH_IN + MARGINS_IN["right"]) / width,
        top=1 - MARGINS_IN["top"] / height,
        bottom=caption_top + MARGINS_IN["bottom"] / height,
        wspace=(LEGEND_WIDTH_IN + MARGINS_IN["left"]) / panel,
        **more,
    )


def draw_curve(
    axes: Axes, curve: Curve, style: CurveStyle, column: str, spread: str | None = None, *, above: float = -np.inf
) -> Any:
    """A curve with its intervals; hollow marks where some images are exact. Returns the line, for a legend.

    ``column`` is the metric; ``spread`` the column of its standard deviation, drawn in place of an interval. Only
    values greater than ``above`` are drawn.
    """
    points = curve.points_with_bits
    points = points[np.isfinite(points[column].astype(float)) & (points[column] > above)]
    (line,) = axes.plot(
        points.rate_bpp, points[column], ls=style.line, color=style.colour, lw=1.6, marker=style.marker, ms=5
    )
    line.set_label(curve.title)
    some_exact = points[points.exact > 0]
    axes.plot(some_exact.rate_bpp, some_exact[column], style.marker, color=style.colour, mfc="white", ms=5, zorder=3)
    _draw_bars(axes, points, column, spread, style.colour)
    return line


def _draw_bars(axes: Axes, points: pd.DataFrame, column: str, spread: str | None, colour: str) -> None:
    """Intervals of rate and metric."""
    ends = [f"{column}_low", f"{column}_high"]
    if spread is not None and spread in points:
        points = points.assign(**{ends[0]: points[column] - points[spread], ends[1]: points[column] + points[spread]})
    known = points.dropna(subset=["rate_bpp_low"])
    if not len(known):
        return
    values = error_bars(known[column], *(known[end] for end in ends)) if set(ends) <= set(known) else None
    rates = error_bars(known.rate_bpp, known.rate_bpp_low, known.rate_bpp_high)
    look: dict[str, Any] = {"fmt": "none", "ecolor": colour, "elinewidth": 0.8, "alpha": 0.6}
    axes.errorbar(known.rate_bpp, known[column], xerr=rates, yerr=values, **look)


def rate_axis(axes: Axes, rates: np.ndarray | pd.Series, least_bpp: float = 0.0) -> None:
    """The axis of rates: logarithmic where the rates above ``least_bpp`` span more than a factor of ten."""
    axes.set_xlabel("rate, bits per pixel")
    drawn = rates[rates > least_bpp]
    if not len(drawn) or not drawn.max() > 10 * drawn.min():
        return
    axes.set_xscale("log")
    if ((rates > 0) & (rates <= least_bpp)).any():
        axes.set_xlim(left=0.8 * drawn.min())
    plain_numbers(axes.xaxis, (1, 2, 5))


def time_axis(axes: Axes) -> None:
    """A horizontal logarithmic axis of times."""
    axes.set_xscale("log")
    plain_numbers(axes.xaxis, (1,))


def log_values(axes: Axes) -> None:
    """A vertical logarithmic axis of values."""
    axes.set_yscale("log")
    plain_numbers(axes.yaxis, (1, 2, 5))


def plain_numbers(axis: Axis, subs: tuple[int, ...]) -> None:
    """Numbers at powers of ten times ``subs`` on a logarithmic axis, without exponents."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
