"""Rate and PSNR of every image, each codec at the setting that is nearest to one rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curve_styles import CurveStyle, curve_styles
from uqdm.bench.analysis.curves import Curve, curves
from uqdm.bench.analysis.short_table import common_rate
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._one_rate import shared_rate
from uqdm.bench.plots._panels import (
    PANEL_HEIGHT_IN,
    arrange,
    figure_of,
    legend_beside,
    legend_height_in,
    rate_axis,
)
from uqdm.bench.plots._style import write_caption
from uqdm.bench.run.rates import image_rates
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.setting_families import MODEL, curve_parameters, swept_parameter
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEAR = 1.25
"""Settings whose mean rate differs from the common one by more than this factor are left out."""
_PICTURE = ["codec", "setting", "point", "reconstruction"]
_COLUMNS = ["dataset", "status", "bpp", "rate_kind", "ideal_bits", "height", "width", "psnr_db", *_PICTURE]
_MANY = 200  # images: from here on marks are small, and pixels in SVG and PDF


@dataclass(frozen=True)
class Cloud:
    """The images of one curve at one point."""

    label: str
    style: CurveStyle
    rate_bpp: np.ndarray
    psnr_db: np.ndarray


def draw(run_dir: Path) -> Figure:
    """A panel for each data set; raises :class:`~uqdm.bench.plots.NothingToDrawError` without images to compare."""
    data = [(name, rate, found) for name, rate, found in read_clouds(run_dir) if found]
    if not data:
        raise NothingToDrawError(f"no curve has inexact images within a factor of {NEAR:g} of one rate")
    height = max(PANEL_HEIGHT_IN, *(legend_height_in([cloud.label for cloud in found]) for _, _, found in data))
    figure = figure_of(len(data), height)
    top = write_caption(figure, [caption(run_dir)])
    for axes, (name, rate, found) in zip(figure.subplots(1, len(data), squeeze=False)[0], data, strict=True):
        _draw_panel(axes, name, rate, found)
    arrange(figure, top, len(data))
    return figure


def caption(run_dir: Path) -> str:
    """What the plot shows, and which curves it lacks."""
    summary = read_summary(run_dir)
    gone = [label for _, rows in summary.groupby("dataset") for label in _far_from(rows, rate_of(rows))]
    lacking = f" Not near that rate: {', '.join(gone)}." if gone else ""
    return (
        "A small mark is one image, a large one the mean. Each curve is shown at its measured point nearest to one "
        f"rate, within a factor of {NEAR:g}; its mean rate in bits per pixel is in parentheses. Images that are "
        f"reproduced exactly have no PSNR and are left out.{lacking}"
    )


def _far_from(rows: pd.DataFrame, rate: float) -> list[str]:
    """The labels of the curves that have no point near a rate."""
    return [curve.label for curve in curves(rows) if _near_point(curve, rate) is None]


def read_clouds(run_dir: Path) -> list[tuple[str, float, list[Cloud]]]:
    """For each data set its name, the common rate in bits per pixel, and the images of each curve near it."""
    rows = read_rows(run_dir, _COLUMNS)
    rows = rows[(rows.status == STATUS_OK) & np.isfinite(rows.psnr_db)]
    rows = rows.assign(rate_bpp=image_rates(rows))
    return [
        (str(name), rate_of(data), _clouds(data, rows[rows.dataset == name]))
        for name, data in read_summary(run_dir).groupby("dataset")
    ]


def rate_of(summary: pd.DataFrame) -> float:
    """The rate at which the curves of a data set are shown: near that most of them have a measured point."""
    rates = [curve.points_with_bits.rate_bpp.to_numpy(float) for curve in curves(summary)]
    return shared_rate(rates, common_rate(summary), _is_near)


def _clouds(summary: pd.DataFrame, rows: pd.DataFrame) -> list[Cloud]:
    drawn, rate = curves(summary), rate_of(summary)
    styles = curve_styles(drawn)
    found = []
    for curve in drawn:
        point = _near_point(curve, rate)
        if point is None:
            continue
        of_point = rows[np.logical_and.reduce([rows[name] == point[name] for name in _PICTURE])]
        if len(of_point):
            values = (of_point[name].to_numpy(float) for name in ("rate_bpp", "psnr_db"))
            found.append(Cloud(_label(curve, point), styles[curve.label], *values))
    return found


def _near_point(curve: Curve, rate: float) -> dict[str, Any] | None:
    """The point of a curve whose rate is nearest by ratio; None if it is not within ``NEAR``."""
    points = curve.points_with_bits
    rates = points.rate_bpp.to_numpy(float)
    if not len(rates) or not _is_near(rates, rate):
        return None
    return dict(records(points)[int(np.abs(np.log(rates / rate)).argmin())])


def _is_near(rates: np.ndarray, rate: float) -> bool:
    return bool(np.abs(np.log(rates / rate)).min() <= np.log(NEAR))


def _label(curve: Curve, point: dict[str, Any]) -> str:
    parsed = [curve_parameters(setting) for setting in curve.points["setting"].unique()]
    swept = swept_parameter(parsed) if len(parsed) > 1 else None
    value = curve_parameters(point["setting"]).get(swept or "")
    value = Path(value).name if value and swept == MODEL else value
    where = point["point"] if curve.points["point"].nunique() > 1 else f"{swept}={value}" if value else ""
    return f"{curve.label}{f', {where}' if where else ''} ({point['rate_bpp']:.2f})"


def _draw_panel(axes: Axes, name: str, rate: float, clouds: list[Cloud]) -> None:
    handles: dict[str, Any] = {}
    many = max(len(cloud.rate_bpp) for cloud in clouds) >= _MANY
    small: dict[str, Any] = {"ls": "none", "ms": 2.5 if many else 4, "alpha": 0.35 if many else 0.55, "mew": 0}
    for cloud in clouds:
        style = cloud.style
        axes.plot(
            cloud.rate_bpp, cloud.psnr_db, marker=style.marker, color=style.colour, rasterized=many, zorder=2, **small
        )
    for cloud in clouds:
        mean = cloud.rate_bpp.mean(), cloud.psnr_db.mean()
        look: dict[str, Any] = {"ls": "none", "ms": 10, "mec": "white", "mew": 1.2, "zorder": 3}
        handles[cloud.label] = axes.plot(*mean, marker=cloud.style.marker, color=cloud.style.colour, **look)[0]
    axes.axvline(rate, color="#888888", lw=0.8, ls=(0, (1, 2)), zorder=1)
    axes.margins(0.05)
    rate_axis(axes, np.concatenate([cloud.rate_bpp for cloud in clouds]))
    axes.set_ylabel("PSNR, dB")
    axes.set_title(f"{name}: single images near {rate:.2g} bpp", loc="left", weight="bold")
    legend_beside(axes, handles)


PLOT = Plot(
    "per_image",
    "Single images at one rate",
    draw,
    caption,
    order=40,
    caption_drawn=True,
    about=(
        "Rate and PSNR of every image, each codec at the setting nearest to one rate. A small mark is one image, a "
        "large one the mean over images."
    ),
)
