"""PSNR at one rate against the time that it takes to encode and to decode."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
    data = [(str(name), rows, at_rate(rows)) for name, rows in read_summary(run_dir).groupby("dataset")]
    data = [(name, rows, found) for name, rows, found in data if found.values]
    if not data:
        raise NothingToDrawError("no curve has times and a PSNR at a rate that the curves share")
    height = max(PANEL_HEIGHT_IN, *(legend_height_in(list(found.values)) for _, _, found in data))
    figure = figure_of(1, height, len(data))
    top = write_caption(figure, [caption(run_dir)])
    panels = figure.subplots(len(data), len(TIMES), squeeze=False, sharey="row")
    for row, (name, rows, found) in zip(panels, data, strict=True):
        _draw_row(row, name, rows, found)
    width, total = map(float, figure.get_size_inches())
    figure.subplots_adjust(left=0.95 / width, right=1 - 3.0 / width, top=1 - 0.35 / total, bottom=top + 0.55 / total)
    figure.subplots_adjust(wspace=0.06, hspace=0.3)
    return figure


def caption(run_dir: Path) -> str:
    """What the plot shows, and which curves it lacks."""
    summary = read_summary(run_dir)
    gone = [label for _, rows in summary.groupby("dataset") for label in _lacking(rows, at_rate(rows).values)]
    lacking = f" Not shown, since they do not reach that rate or have no times: {', '.join(gone)}." if gone else ""
    return (
        "Up is better, left is faster. PSNR and times are interpolated at one rate, between the points of each "
        "curve, in the logarithm of rate and time. Times are means over images, of one image in a worker that is warm; "
        "those of programs include the start of the process. They depend on the machine and its load, and compare only "
        f"within one run.{lacking}"
    )


def _lacking(rows: pd.DataFrame, found: Collection[str]) -> list[str]:
    return [curve.label for curve in curves(rows) if curve.label not in found]


@dataclass(frozen=True)
class AtRate:
    """PSNR and times at one rate, by the label of the curve; those that lack one are left out."""

    rate_bpp: float
    values: dict[str, dict[str, float]]


def at_rate(rows: pd.DataFrame) -> AtRate:
    """The curves of a data set at the rate that most of them reach."""
    known = {curve.label: _known(curve) for curve in curves(rows)}
    rates = [points["rate_bpp"] for points in known.values()]
    rate = shared_rate(rates, common_rate(rows), lambda one, rate: bool(one.min() <= rate <= one.max()))
    found = {label: _values(points, rate) for label, points in known.items() if len(points["rate_bpp"])}
    return AtRate(rate, {label: values for label, values in found.items() if np.isfinite(values["psnr_db"])})


def _known(curve: Curve) -> dict[str, np.ndarray]:
    """The points of a curve that have a PSNR and both times, in the order of their rate; one of equal rates."""
    names = ["rate_bpp", "psnr_db", *TIMES]
    points = curve.points_with_bits[names].astype(float)
    values = points.to_numpy()
    whole = np.isfinite(values).all(axis=1) & (values[:, -len(TIMES) :] > 0).all(axis=1)
    points = points[whole].drop_duplicates("rate_bpp")
    return {name: points[name].to_numpy() for name in names}


def _values(points: Mapping[str, np.ndarray], rate: float) -> dict[str, float]:
    """The values at a rate, linear in log rate, for times in their logarithm too; NaN outside the curve."""
    places = np.log(points["rate_bpp"])
    psnr = np.interp(np.log(rate), places, points["psnr_db"], left=np.nan, right=np.nan)
    times = {name: float(np.exp(np.interp(np.log(rate), places, np.log(points[name])))) for name in TIMES}
    return {"psnr_db": float(psnr), **times}


def _draw_row(row: Any, dataset: str, rows: pd.DataFrame, found: AtRate) -> None:
    styles = curve_styles(curves(rows))
    handles: dict[str, Any] = {}
    for axes, (name, verb) in zip(row, TIMES.items(), strict=True):
        for label, values in found.values.items():
            style = styles[label]
            look: dict[str, Any] = {"ls": "none", "ms": 8, "mec": "white", "mew": 0.8, "marker": style.marker}
            handles[label] = axes.plot(values[name], values["psnr_db"], color=style.colour, **look)[0]
        axes.margins(0.1)
        time_axis(axes)
        axes.set_xlabel(f"time to {verb} an image, ms")
    row[0].set_ylabel(f"PSNR at {found.rate_bpp:.2g} bpp, dB")
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
