"""The plots of a contest: metrics against rate, and realism against distortion at equal rates."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curve_styles import CurveStyle, curve_styles
from uqdm.bench.analysis.curves import Curve
from uqdm.bench.contest.curves import Entrant, value_at, within
from uqdm.bench.contest.options import PageOptions
from uqdm.bench.metrics import Metric, SetMetric
from uqdm.bench.plots import NO_METADATA
from uqdm.bench.plots._panels import LEGEND_WIDTH_IN, arrange, draw_curve, figure_of, legend_beside, plain_numbers
from uqdm.bench.plots._style import RC, take_names_literally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_IN = 3.5
_BOTTOM = 0.13
_ROOM = 0.06  # of the values, above and below them


@dataclass(frozen=True)
class Drawing:
    """A plot as a data URI of an SVG file, with its title and what it shows."""

    name: str
    title: str
    source: str
    about: str


def drawings(entrants: Sequence[Entrant], metrics: Sequence[Metric | SetMetric], page: PageOptions) -> list[Drawing]:
    """A plot of each metric against rate, and a plane of realism and distortion for each metric of ``page.realism``."""
    drawn = [curve for one in entrants for curve in one.curves]
    styles = curve_styles(drawn)
    found = [_against_rate(drawn, styles, metric, page) for metric in metrics]
    planes = [_plane(entrants, styles, metric, page) for metric in metrics if metric.name in page.realism]
    return [one for one in [*found, *planes] if one is not None]


def _against_rate(
    drawn: Sequence[Curve], styles: Mapping[str, CurveStyle], metric: Metric | SetMetric, page: PageOptions
) -> Drawing | None:
    """A metric against rate in the interval of rates; None where no curve has a value there."""
    parts = [within(curve, page.lowest_bpp, page.highest_bpp) for curve in drawn if _has(curve, metric.name)]
    values = [value for curve in parts for value in _values(curve, metric.name, page)]
    if not values:
        return None
    spread = metric.spread if isinstance(metric, SetMetric) else None

    def draw() -> Figure:
        figure = figure_of(1)
        axes = figure.subplots()
        handles = {one.label: draw_curve(axes, one, styles[one.label], metric.name, spread) for one in parts}
        arrange(figure, 0.0, 1)
        _bound(axes, values, page)
        axes.set_xlabel("rate, bits per pixel")
        axes.set_ylabel(f"{metric.label}, {metric.unit}" if metric.unit else metric.label)
        legend_beside(axes, handles)
        return figure

    better = "lower" if metric.direction == "lower" else "higher"
    about = f"{metric.label} ({better} is better) against the mean rate. Dashed: ideal rates, without files."
    return Drawing(f"rate-{metric.name}", f"Rate and {metric.label}", _svg(draw), about)


def _has(curve: Curve, name: str) -> bool:
    return name in curve.points and bool(np.isfinite(curve.points_with_bits[name].astype(float)).any())


def _values(curve: Curve, name: str, page: PageOptions) -> list[float]:
    """The values of a curve inside the interval of rates, and at its ends where it reaches them."""
    points = curve.points_with_bits
    inside = points[(points.rate_bpp >= page.lowest_bpp) & (points.rate_bpp <= page.highest_bpp)]
    ends = [value_at(curve, name, rate)[0] for rate in (page.lowest_bpp, page.highest_bpp)]
    return [float(value) for value in [*inside[name], *ends] if math.isfinite(value)]


def _bound(axes: Axes, values: Sequence[float], page: PageOptions) -> None:
    axes.set_xscale("log")
    plain_numbers(axes.xaxis, (1, 2, 5))
    axes.set_xlim(page.lowest_bpp, page.highest_bpp)
    room = _ROOM * (max(values) - min(values) or abs(values[0]) or 1)
    axes.set_ylim(min(values) - room, max(values) + room)


def _plane(
    entrants: Sequence[Entrant], styles: Mapping[str, CurveStyle], metric: Metric | SetMetric, page: PageOptions
) -> Drawing | None:
    """A panel for each rate: a mark for each kind of pictures, those of one contestant joined."""
    places = {rate: _places(entrants, metric.name, rate) for rate in page.bpp}
    if not any(places.values()):
        return None

    def draw() -> Figure:
        from matplotlib.figure import Figure

        width, height = _PANEL_IN * len(places) + LEGEND_WIDTH_IN, 4.2
        figure = Figure(figsize=(width, height))
        figure.subplots_adjust(
            left=0.7 / width, right=1 - LEGEND_WIDTH_IN / width, top=0.9, bottom=_BOTTOM, wspace=0.25
        )
        handles: dict[str, Any] = {}
        panels = figure.subplots(1, len(places), squeeze=False)[0]
        for axes, (rate, found) in zip(panels, places.items(), strict=True):
            handles |= _draw_places(axes, found, styles)
            axes.set_title(f"{rate:g} bpp", loc="left", weight="bold")
            axes.set_xlabel("PSNR, dB")
        panels[0].set_ylabel(metric.label)
        order = [curve.label for one in entrants for curve in one.curves]
        legend_beside(panels[-1], {label: handles[label] for label in order if label in handles})
        return figure

    about = (
        f"Each mark is one kind of pictures at one rate, between measured points; a line joins those of one codec. "
        f"Right is nearer to the original, down is more realistic by {metric.label}."
    )
    return Drawing(f"plane-{metric.name}", f"Distortion and {metric.label} at equal rates", _svg(draw), about)


def _places(entrants: Sequence[Entrant], name: str, rate: float) -> dict[str, dict[str, tuple[float, float]]]:
    """PSNR and the metric of each curve that reaches a rate, by contestant and label."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for one in entrants:
        for curve in one.curves:
            place = value_at(curve, "psnr_db", rate)[0], value_at(curve, name, rate)[0]
            if all(map(math.isfinite, place)):
                found.setdefault(one.name, {})[curve.label] = place
    return found


def _draw_places(
    axes: Axes, found: Mapping[str, Mapping[str, tuple[float, float]]], styles: Mapping[str, CurveStyle]
) -> dict[str, Any]:
    handles = {}
    for places in found.values():
        colour = styles[next(iter(places))].colour
        axes.plot(*zip(*places.values(), strict=True), color=colour, lw=0.8, alpha=0.6)
        for label, place in places.items():
            look: dict[str, Any] = {
                "color": styles[label].colour,
                "marker": styles[label].marker,
                "ls": "none",
                "ms": 6.5,
            }
            (handles[label],) = axes.plot(*place, **look)
    return handles


def _svg(draw: Any) -> str:
    """A figure as a data URI of an SVG file."""
    from matplotlib import rc_context

    with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
        figure = draw()
        take_names_literally(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata=NO_METADATA["svg"])
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
