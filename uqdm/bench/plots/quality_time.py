"""PSNR at one rate against the time that it takes to encode and to decode."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curve_styles import curve_styles
from uqdm.bench.analysis.curves import Curve, curves
from uqdm.bench.analysis.short_table import common_rate
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._one_rate import shared_rate
from uqdm.bench.plots._panels import PANEL_HEIGHT_IN, figure_of, legend_beside, legend_height_in, time_axis
from uqdm.bench.plots._style import write_caption
from uqdm.bench.run.summary_reader import read_summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TIMES = {"encode_ms": "encode", "decode_ms": "decode"}


def draw(run_dir: Path) -> Figure:
    """A panel for each time, a row for each data set.

    Raises :class:`~uqdm.bench.plots.NothingToDrawError` if no curve has a time and a PSNR at the common rate.
    """
    data = [(str(name), rows, points_at_rate(rows)) for name, rows in read_summary(run_dir).groupby("dataset")]
    data = [(name, rows, found) for name, rows, found in data if found]
    if not data:
        raise NothingToDrawError("no curve has times and a PSNR at a rate that the curves share")
    titles = [label for _, _, found in data for label in found]
    height = max(PANEL_HEIGHT_IN, legend_height_in(titles))
    figure = figure_of(1, height, len(data))
    top = write_caption(figure, [caption(run_dir)])
    panels = figure.subplots(len(data), len(TIMES), squeeze=False, sharey="row")
    for row, (name, rows, found) in zip(panels, data, strict=True):
        _draw_row(row, name, rows, found)
    width, total = map(float, figure.get_size_inches())
    figure.subplots_adjust(left=0.75 / width, right=1 - 3.0 / width, top=1 - 0.35 / total, bottom=top + 0.55 / total)
    figure.subplots_adjust(wspace=0.06, hspace=0.3)
    return figure


def caption(run_dir: Path) -> str:
    """What the plot shows, and which curves it lacks."""
    summary = read_summary(run_dir)
    gone = [label for _, rows in summary.groupby("dataset") for label in _lacking(rows, points_at_rate(rows))]
    lacking = f" Not shown, since they do not reach that rate or have no times: {', '.join(gone)}." if gone else ""
    return (
        "Up is better, left is faster. PSNR and times are interpolated at one rate, between the points of each "
        "curve, in the logarithm of rate and time. Times are means over images, of one image in a worker that is warm; "
        "those of programs include the start of the process. They depend on the machine and its load, and compare only "
        f"within one run.{lacking}"
    )


def _lacking(rows: pd.DataFrame, found: Collection[str]) -> list[str]:
    return [curve.label for curve in curves(rows) if curve.label not in found]


def points_at_rate(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """PSNR and times of each curve of a data set at :func:`rate_of`, by label; curves that lack one are left out."""
    rate = rate_of(rows)
    found = {curve.label: _values(curve, rate) for curve in curves(rows)}
    return {label: values for label, values in found.items() if _is_whole(values)}


def rate_of(rows: pd.DataFrame) -> float:
    """The rate at which the curves of a data set are compared, in bits per pixel: the one that most of them reach."""
    return shared_rate(curves(rows), common_rate(rows), lambda curve, rate: _is_whole(_values(curve, rate)))


def _values(curve: Curve, rate: float) -> dict[str, float]:
    return {name: _at(curve, rate, name) for name in ("psnr_db", *TIMES)}


def _is_whole(values: dict[str, float]) -> bool:
    return bool(np.isfinite(list(values.values())).all())


def _at(curve: Curve, rate: float, name: str) -> float:
    """A value of a curve at a rate, linear in log rate, for times in their logarithm too; NaN outside the curve.

    A curve that crosses the rate only once has one value; of several points of equal rate the first counts.
    """
    points = curve.points_with_bits
    points = points[np.isfinite(points[name].astype(float)) & (points[name] > 0)].drop_duplicates("rate_bpp")
    if not len(points) or not points.rate_bpp.min() <= rate <= points.rate_bpp.max():
        return float("nan")
    values = points[name].to_numpy(float)
    rates = np.log(points.rate_bpp.to_numpy(float))
    if name in TIMES:
        return float(np.exp(np.interp(np.log(rate), rates, np.log(values))))
    return float(np.interp(np.log(rate), rates, values))


def _draw_row(row: Any, dataset: str, rows: pd.DataFrame, found: dict[str, dict[str, float]]) -> None:
    styles = curve_styles(curves(rows))
    handles: dict[str, Any] = {}
    for axes, (name, verb) in zip(row, TIMES.items(), strict=True):
        for label, values in found.items():
            style = styles[label]
            look: dict[str, Any] = {"ls": "none", "ms": 8, "mec": "white", "mew": 0.8, "marker": style.marker}
            handles[label] = axes.plot(values[name], values["psnr_db"], color=style.colour, **look)[0]
        axes.margins(0.1)
        time_axis(axes)
        axes.set_xlabel(f"time to {verb} an image, ms")
    row[0].set_ylabel(f"PSNR at {rate_of(rows):.2g} bpp, dB")
    row[0].set_title(f"{dataset}: quality and time", loc="left", weight="bold")
    legend_beside(row[-1], handles)


PLOT = Plot(
    "quality_time",
    "Quality and time",
    draw,
    caption,
    order=50,
    caption_drawn=True,
    about=(
        "PSNR of every codec at one rate against the mean time to encode and to decode an image. Times depend on the "
        "machine and its load, and compare only within one run."
    ),
)
