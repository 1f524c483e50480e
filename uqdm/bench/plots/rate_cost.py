"""Rate at equal quality against what it costs: time to encode and decode, multiply-accumulates, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.costs import COSTS, CostPoint, cost_points, pareto_front, timed
from uqdm.bench.analysis.curve_styles import CurveStyle, curve_styles
from uqdm.bench.analysis.curves import PSNR_LEVELS_DB, Curve, curves
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._labels import Label, place_labels
from uqdm.bench.plots._panels import LEGEND_WIDTH_IN, legend_beside, legend_height_in, log_values, plain_numbers
from uqdm.bench.plots._style import write_caption
from uqdm.bench.run.summary_reader import read_summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "encode_ms": "time to encode, ms",
    "decode_ms": "time to decode, ms",
    "macs_per_pixel": "multiply-accumulates per pixel",
    "peak_memory_bytes": "peak memory, MiB",
}
_UNITS = {"peak_memory_bytes": 2.0**20}
_LEAST = 2
"""Curves that a panel needs."""
_WIDTH_IN, _HEIGHT_IN = 3.1, 2.7
_FAINT = 0.35


@dataclass(frozen=True)
class Level:
    """The curves of a data set at one PSNR: their points by the column of the cost."""

    dataset: str
    psnr_db: float
    drawn: list[Curve]
    points: dict[str, list[CostPoint]]


def draw(run_dir: Path) -> Figure:
    """A row for each data set and PSNR that two curves reach, and a panel for each cost.

    Raises :class:`~uqdm.bench.plots.NothingToDrawError` if there is none.
    """
    from matplotlib.figure import Figure

    rows = levels(run_dir)
    if not rows:
        listed = ", ".join(map(str, PSNR_LEVELS_DB))
        raise NothingToDrawError(f"no two curves of files have costs at one of {listed} dB")
    costs = [name for name in COSTS if any(name in row.points for row in rows)]
    legend = max(legend_height_in([curve.title for curve in row.drawn]) for row in rows)
    height = len(rows) * max(_HEIGHT_IN, legend / len(rows)) + 1.2
    width = 0.75 + len(costs) * _WIDTH_IN + LEGEND_WIDTH_IN
    figure = Figure(figsize=(width, height))
    top = write_caption(figure, [caption(run_dir)])
    figure.subplots_adjust(left=0.75 / width, right=1 - LEGEND_WIDTH_IN / width, top=1 - 0.35 / height)
    figure.subplots_adjust(bottom=top + 0.55 / height, wspace=0.1, hspace=0.35)
    panels = figure.subplots(len(rows), len(costs), squeeze=False, sharey="row", sharex="col")
    handles: dict[str, Any] = {}
    for row, level in zip(panels, rows, strict=True):
        _draw_row(row, level, costs, handles)
    for axes, name in zip(panels[-1], costs, strict=True):
        axes.set_xlabel(AXES[name])
    legend_beside(panels[0][-1], handles)
    for row, level in zip(panels, rows, strict=True):  # when all limits are set
        for axes, name in zip(row, costs, strict=True):
            _label_front(axes, level, name)
    return figure


def levels(run_dir: Path) -> list[Level]:
    """The rows of the plot: for each data set the PSNR levels that at least two curves reach with some cost."""
    found = []
    for name, summary in read_summary(run_dir).groupby("dataset"):
        drawn = curves(summary)
        for psnr_db in PSNR_LEVELS_DB:
            points = {column: cost_points(drawn, timed(drawn, column), psnr_db) for column in COSTS}
            points = {column: of for column, of in points.items() if len(of) >= _LEAST and any(p.cost > 0 for p in of)}
            if points:
                shown = {point.label for of in points.values() for point in of}
                found.append(Level(str(name), psnr_db, [curve for curve in drawn if curve.label in shown], points))
    return found


def caption(run_dir: Path) -> str:
    """What the plot shows, and what depends on the machine."""
    return (
        "Down is better, left is cheaper. Each mark is a codec at the PSNR of its row, between its measured points: "
        "linear in dB and in the logarithms of rate and cost. The line is the Pareto front: no codec needs fewer bits "
        "at no higher cost. Codecs behind it are faint. Costs are means over images, memory the largest; of times "
        "that were repeated in rounds the median. Times and memory depend on the machine and its load, and compare "
        "only within one run. Ideal codecs have no files and are left out."
    )


def _draw_row(row: Sequence[Axes], level: Level, costs: Sequence[str], handles: dict[str, Any]) -> None:
    styles = curve_styles(level.drawn)
    titles = {curve.label: curve.title for curve in level.drawn}
    for axes, name in zip(row, costs, strict=True):
        _scale(axes, [point.cost for point in level.points.get(name, ())], _UNITS.get(name, 1.0))
        for title, line in _draw_panel(axes, level.points.get(name, []), styles, titles, name).items():
            handles.setdefault(title, line)
        axes.margins(0.14)
    log_values(row[0])
    row[0].set_ylabel(f"bits per pixel at {level.psnr_db:g} dB")
    row[0].set_title(f"{level.dataset}: rate at {level.psnr_db:g} dB and its cost", loc="left", weight="bold")


def _scale(axes: Axes, costs: Sequence[float], unit: float) -> None:
    """A logarithmic axis of costs, which begins with 0 if some cost is 0, as that of codecs without a network is."""
    from matplotlib.ticker import EngFormatter

    positive = [cost / unit for cost in costs if cost > 0]
    if not positive:
        return
    if len(positive) < len(costs):
        axes.set_xscale("symlog", linthresh=10.0 ** np.floor(np.log10(min(positive))), linscale=0.5)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    else:
        axes.set_xscale("log")
        plain_numbers(axes.xaxis, (1,) if max(positive) > 10 * min(positive) else (1, 2, 5))


def _draw_panel(
    axes: Axes, points: list[CostPoint], styles: Mapping[str, CurveStyle], titles: Mapping[str, str], name: str
) -> dict[str, Any]:
    """Draws the points and their front; returns the marks by the titles of their curves."""
    unit = _UNITS.get(name, 1.0)
    front = pareto_front(points)
    handles = {}
    axes.step(
        [point.cost / unit for point in front],
        [point.rate_bpp for point in front],
        where="post",
        color="#888888",
        lw=1,
        zorder=1,
    )
    for point in points:
        style = styles[point.label]
        look: dict[str, Any] = {"ls": "none", "ms": 7, "mec": "white", "mew": 0.7, "zorder": 3}
        (line,) = axes.plot(point.cost / unit, point.rate_bpp, marker=style.marker, color=style.colour, **look)
        handles[titles[point.label]] = line
        if point not in front:
            axes.plot(point.cost / unit, point.rate_bpp, marker=style.marker, color=style.colour, alpha=_FAINT, **look)
            line.set_data([], [])
    return handles


def _label_front(axes: Axes, level: Level, name: str) -> None:
    unit, points = _UNITS.get(name, 1.0), level.points.get(name, [])
    styles = curve_styles(level.drawn)
    labels = [
        Label(point.label, point.cost / unit, point.rate_bpp, styles[point.label].colour)
        for point in pareto_front(points)
    ]
    place_labels(axes, labels, [(point.cost / unit, point.rate_bpp) for point in points])


PLOT = Plot(
    "rate_cost",
    "Rate and cost",
    draw,
    caption,
    order=55,
    caption_drawn=True,
    about=(
        "Rate of every codec at equal PSNR against its time to encode and to decode, multiply-accumulates and memory, "
        "with the Pareto front. Times depend on the machine and its load, and compare only within one run."
    ),
)
