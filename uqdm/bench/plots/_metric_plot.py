"""A plot of one metric against rate, the same for every metric; each has a module of its own that names it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.bench.analysis.curve_styles import curve_styles
from uqdm.bench.analysis.curves import Curve, curves
from uqdm.bench.exchange.imported import imported_note, legend_of
from uqdm.bench.metrics import METRICS, Metric, SetMetric, set_basis
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._imported import draw_imported, imported_rates, imported_with
from uqdm.bench.plots._panels import (
    PANEL_HEIGHT_IN,
    arrange,
    draw_curve,
    figure_of,
    legend_beside,
    legend_height_in,
    log_values,
    rate_axis,
)
from uqdm.bench.plots._style import write_caption
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import STATUS_OK, STATUS_REFERENCE
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from uqdm.bench.exchange.rd_curve import RdCurve

_BELOW = "v"  # the mark of a value that a logarithmic axis cannot show
_FLOOR_COLOUR = "#444444"


def metric_plot(metric: str, label: str, order: int) -> Plot:
    """The plot ``rate_METRIC``; ``label`` is that of the metric, which is looked up when the plot is drawn."""
    return Plot(
        f"rate_{metric}",
        f"Rate and {label}",
        functools.partial(draw, metric),
        functools.partial(caption, metric),
        order=order,
        caption_drawn=True,
        about=(
            f"{label} against rate for every codec of the run. A mark is a setting, or a point of a progressive "
            f"stream. Only runs in which {label} was computed have it."
        ),
    )


def draw(name: str, run_dir: Path) -> Figure:
    """A panel for each data set; raises :class:`~uqdm.bench.plots.NothingToDrawError` without values of the metric."""
    metric, summary = METRICS.get(name), read_summary(run_dir)
    data = [(rows, _curves_with(rows, name)) for _, rows in summary.groupby(["dataset", "fingerprint"])]
    data = [(rows, drawn) for rows, drawn in data if drawn]
    if not data:
        raise NothingToDrawError(_reason(summary, metric))
    imported = imported_with(run_dir, name)
    beside = [*legend_of(imported), "", ""]
    height = max(PANEL_HEIGHT_IN, *(legend_height_in([curve.title for curve in drawn] + beside) for _, drawn in data))
    figure = figure_of(len(data), height)
    top = write_caption(figure, [caption(name, run_dir)])
    for axes, (rows, drawn) in zip(figure.subplots(1, len(data), squeeze=False)[0], data, strict=True):
        _draw_panel(axes, rows, drawn, imported, metric)
    arrange(figure, top, len(data))
    return figure


def caption(name: str, run_dir: Path) -> str:
    """What the plot shows, over how many images."""
    metric, summary = METRICS.get(name), read_summary(run_dir)
    known = summary[(summary.status == STATUS_OK) & np.isfinite(summary[name].astype(float))]
    better = "lower" if metric.direction == "lower" else "higher"
    parts = [f"{metric.label} ({better} is better) against the mean rate of all bits of the file."]
    parts += [_of_sets(metric, known)] if isinstance(metric, SetMetric) else [_of_images(metric, known)]
    if isinstance(metric, SetMetric) and (known[name] <= 0).any():
        parts.append("Hollow triangles on the lower edge: values of 0 or less, which noise alone gives.")
    return " ".join([*parts, *filter(None, [imported_note(imported_with(run_dir, name))])])


def _of_images(metric: Metric, known: pd.DataFrame) -> str:
    images = "; ".join(f"{name}: {counted(int(n), 'image')}" for name, n in known.groupby("dataset")["n"].max().items())
    return f"Mean over images ({images}). Bars: {LEVEL_TEXT} bootstrap intervals over images."


def _of_sets(metric: SetMetric, known: pd.DataFrame) -> str:
    basis = set_basis(metric)
    counts = sorted(known[basis.n].dropna().unique()) if basis.n in known else []
    images = " or ".join(f"{count:,.0f}" for count in counts) or "an unknown number of"
    bars = f" Bars: standard deviation of {metric.label} over its subsets." if metric.spread is not None else ""
    warned = basis.warning in known and known[basis.warning].notna().any() and basis.caution
    caution = f"{basis.caution[0].upper()}{basis.caution[1:]}" if warned else ""
    advice = f" {caution}: compare at this number of images only." if caution else ""
    return f"Sets of {images} images.{bars}{advice}"


def _curves_with(rows: pd.DataFrame, name: str) -> list[Curve]:
    """The curves that have a value of the metric at some point."""
    return [curve for curve in curves(rows) if np.isfinite(curve.points_with_bits[name].astype(float)).any()]


def _reason(summary: pd.DataFrame, metric: Metric | SetMetric) -> str:
    stated = (one.get(metric.name) for one in summary.unscored if isinstance(one, Mapping))
    reason = next(filter(None, stated), None)
    return f"no curve has values of {metric.label}" + (f": {reason}" if reason else "")


def _draw_panel(
    axes: Axes, rows: pd.DataFrame, drawn: list[Curve], imported: Sequence[RdCurve], metric: Metric | SetMetric
) -> None:
    styles = curve_styles(curves(rows))
    points = {curve.label: curve.points_with_bits for curve in drawn}
    is_log = isinstance(metric, SetMetric) and any((one[metric.name] > 0).any() for one in points.values())
    spread = metric.spread if isinstance(metric, SetMetric) else None
    above = 0.0 if is_log else -np.inf
    handles: dict[str, Any] = {}
    for curve in drawn:
        handles[curve.title] = draw_curve(axes, curve, styles[curve.label], metric.name, spread, above=above)
    handles |= draw_imported(axes, imported, drawn, metric.name)
    axes.margins(0.04, 0.06)
    known = [one.rate_bpp[np.isfinite(one[metric.name].astype(float))] for one in points.values()]
    rate_axis(axes, np.concatenate([*(rates.to_numpy(float) for rates in known), imported_rates(imported)]))
    if is_log:
        log_values(axes)
        for label, one in points.items():
            _mark_below(axes, one, metric.name, styles[label].colour)
    handles |= _draw_floor(axes, rows, metric)
    axes.set_ylabel(f"{metric.label}, {metric.unit}" if metric.unit else metric.label)
    axes.set_title(f"{rows.dataset.iloc[0]}: rate and {metric.label}", loc="left", weight="bold")
    legend_beside(axes, handles)


def _mark_below(axes: Axes, points: pd.DataFrame, name: str, colour: str) -> None:
    """Marks values of 0 or less on the lower edge of a logarithmic axis."""
    below = points[points[name] <= 0]
    place = axes.get_xaxis_transform()  # rate and height in the panel
    look: dict[str, Any] = {"color": colour, "mfc": "white", "ms": 6, "clip_on": False, "zorder": 4}
    axes.plot(below.rate_bpp, [0.0] * len(below), _BELOW, transform=place, **look)


def _draw_floor(axes: Axes, rows: pd.DataFrame, metric: Metric | SetMetric) -> dict[str, Any]:
    """The metric of originals against originals, where the summary has it."""
    found = rows[(rows.status == STATUS_REFERENCE) & rows[metric.name].notna()]
    if found.empty or not found[metric.name].iloc[0] > 0:
        return {}
    line = axes.axhline(found[metric.name].iloc[0], color=_FLOOR_COLOUR, lw=0.9, ls=(0, (1, 2)))
    return {f"floor: originals, {found.setting.iloc[0]}": line}
