"""Distortion-perception plot: realism against PSNR, from a point's faithful picture to its realistic one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.bench.analysis.curves import short_settings
from uqdm.bench.metrics import Metric, SetMetric, declared, headline_set_metrics, labels_of, set_bases, set_basis
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._panels import log_values
from uqdm.bench.plots._style import error_bars, write_caption
from uqdm.bench.run.setting_families import curve_parameters
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.unscored import unscored_text
from uqdm.bench.schema import ALL_METRICS, STATUS_OK, STATUS_REFERENCE
from uqdm.interpolate import lambda_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GUIDE = 2.0
"""The MSE that perfect realism needs at most, as a multiple of the least MSE."""
GUIDE_DB = 10 * math.log10(GUIDE)
FURTHER = ("lpips", "sliced_w2")
"""Metrics beside the headline metrics of sets: one of pairs of pictures, and one that the theory is about."""

_PANEL_WIDTH_IN, _PANEL_HEIGHT_IN = 6.2, 4.4
_PANELS_ACROSS = 2
_GUIDE_STYLE: dict[str, Any] = {"marker": "|", "ms": 15, "mew": 1.6, "ls": "none"}
_FLOOR_STYLE: dict[str, Any] = {"color": "#444444", "lw": 0.9, "ls": (0, (1, 2))}
_FLOOR_REACH = 0.5  # the floor is drawn up to this share of the curves' height outside of them
_LOG_RATIO = 10  # of the largest value to the smallest, from which on the axis is logarithmic
_GROUP = ["dataset", "codec", "title"]
_CURVE = ["setting", "point_index", "point"]


def draw(run_dir: Path) -> Figure:
    """Panels for each codec inside ``interpolate`` and its pair of ends, one for each metric.

    Raises :class:`~uqdm.bench.plots.NothingToDrawError` without pictures between two reconstructions or their metrics.
    """
    from matplotlib.figure import Figure

    summary = read_summary(run_dir)
    rows = mixtures(summary)
    metrics = [metric for metric in _metrics() if len(rows) and rows[metric.name].notna().any()]
    if not metrics:
        raise NothingToDrawError(_none(rows))
    groups = [(list(map(str, name)), group) for name, group in rows.groupby(_GROUP, sort=False)]
    across = min(len(metrics), _PANELS_ACROSS)
    lines = math.ceil(len(metrics) / across)
    size = _PANEL_WIDTH_IN * across, _PANEL_HEIGHT_IN * lines * len(groups) + 1.2
    figure = Figure(figsize=size)
    bottom = write_caption(figure, [caption(run_dir)])
    figure.subplots_adjust(
        left=0.9 / size[0], right=1 - 0.15 / size[0], top=1 - 0.45 / size[1], bottom=bottom + 0.6 / size[1]
    )
    figure.subplots_adjust(wspace=0.24, hspace=0.35)
    panels = figure.subplots(lines * len(groups), across, squeeze=False).reshape(len(groups), -1)
    for line, ((dataset, _, title), group) in zip(panels, groups, strict=True):
        floors = summary[(summary.dataset == dataset) & (summary.status == STATUS_REFERENCE)]
        for axes, metric in zip(line, metrics, strict=False):
            _draw_panel(axes, group, metric, _floor(floors, metric))
        for axes in line[len(metrics) :]:
            axes.set_axis_off()
        line[0].set_title(f"{dataset}: distortion and realism of {title}", loc="left", weight="bold")
    return figure


def caption(run_dir: Path) -> str:
    """What the plot shows, over how many images, and what the guide and the floor mean."""
    rows = mixtures(read_summary(run_dir))
    shown = [metric for metric in _metrics() if len(rows) and rows[metric.name].notna().any()]
    of_sets = [metric for metric in shown if isinstance(metric, SetMetric)]
    of_pairs = [metric for metric in shown if isinstance(metric, Metric)]
    with_bars = [metric for metric in of_sets if metric.spread is not None]
    spread = f"standard deviation of {labels_of(with_bars)} over its subsets" if with_bars else ""
    interval = f"{LEVEL_TEXT} interval of {labels_of(of_pairs)} over images" if of_pairs else ""
    bars = f"Bars: {', '.join(filter(None, [spread, interval]))}. " if spread or interval else ""
    pairs = f"{labels_of(of_pairs)} compares each picture with its original, and is no realism. " if of_pairs else ""
    floor = "Dotted: one half of the originals against the other. " if of_sets else ""
    return (
        "Each curve is one point of a stream: pictures (1 - lambda) x_mmse + lambda x_realistic, from lambda 0 (the "
        "faithful picture, filled) to the largest (the realistic one, hollow). Down is more realistic, right is nearer "
        f"to the original; a curve that rises towards its hollow end gains no realism. Upright stroke: {GUIDE:g} times "
        f"the MSE of lambda 0, {GUIDE_DB:.2f} dB below it; a picture drawn at random from all that the bytes may stand "
        f"for costs just this. {pairs}{floor}{bars}Images: {rows.n.max():,} for PSNR{_set_sizes(rows, of_sets)}."
    )


def _set_sizes(rows: pd.DataFrame, of_sets: Sequence[SetMetric]) -> str:
    """The numbers of images of metrics of sets, with what is to be said of these."""
    texts: dict[str, list[SetMetric]] = {}
    for metric in of_sets:
        basis = set_basis(metric)
        counted = rows[rows[basis.n].notna()] if basis.n in rows else rows[:0]
        numbers = " or ".join(sorted({f"{n:,.0f}" for n in counted[basis.n]})) if len(counted) else "an unknown number"
        texts.setdefault(numbers, []).append(metric)
    found = "".join(f", {numbers} for {labels_of(metrics)}" for numbers, metrics in texts.items())
    warned = [basis for basis in set_bases() if basis.warning in rows and rows[basis.warning].notna().any()]
    return found + "".join(f"; {basis.caution}" for basis in warned if basis.caution)


def mixtures(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of a summary that were made between two reconstructions, with their ``lam`` and the ``title`` of each.

    Settings of one codec with the same pair of ends have one title.
    """
    ok = summary[summary.status == STATUS_OK]
    lams = ok.reconstruction.map(lambda_of, na_action="ignore").astype(float)
    titles = [title_of(codec, setting) for codec, setting in zip(ok.codec, ok.setting, strict=True)]
    return ok.assign(lam=lams, title=titles)[lams.notna()].sort_values([*_GROUP, *_CURVE, "lam"], kind="stable")


def title_of(codec: str, setting: str) -> str:
    """The name of the codec inside ``interpolate`` with its two ends, or that of the codec itself.

    >>> title_of("interpolate", "codec=refine:codec=(hyperprior:quality=3),lam=0,1,mmse=mean,realistic=sample")
    'refine over hyperprior, mean to sample'
    """
    parameters = curve_parameters(setting)
    names = [value for name, value in parameters.items() if set(name.split(".")) == {"codec"}]
    ends = [parameters[name] for name in ("mmse", "realistic") if name in parameters]
    return ", ".join(filter(None, [" over ".join(names) or codec, " to ".join(ends)]))


def _metrics() -> list[Metric | SetMetric]:
    named = {metric.name: metric for metric in declared()}
    return [*headline_set_metrics(), *(named[name] for name in FURTHER if name in named)]


def _none(rows: pd.DataFrame) -> str:
    if len(rows):
        stated: dict[str, str] = next(iter(rows.unscored.dropna()), {})
        names = {metric.name for metric in _metrics()} | {ALL_METRICS}
        text = unscored_text({name: reason for name, reason in stated.items() if name in names})
        return "; ".join(filter(None, [f"{labels_of(_metrics())} are missing", text]))
    return (
        "the run has no pictures between a faithful and a realistic one; the codec "
        '"interpolate" makes them, config/distortion_perception.yaml is an example'
    )


def _floor(floors: pd.DataFrame, metric: Metric | SetMetric) -> float | None:
    """The value of originals against originals, where the summary has it."""
    known = list(floors[metric.name].dropna()) if isinstance(metric, SetMetric) else []
    return float(known[0]) if known else None


def _draw_panel(axes: Axes, rows: pd.DataFrame, metric: Metric | SetMetric, floor: float | None) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D

    settings = short_settings(rows.setting.unique())
    points = sorted(rows.groupby(_CURVE, sort=False), key=lambda found: float(found[1].bpp.mean()))
    for index, (names, curve) in enumerate(points):
        setting, _, point = map(str, names)
        colour = to_hex(colormaps["viridis"](0.9 * index / max(1, len(points) - 1)))
        shown = [settings[setting], "" if point == "full" and settings[setting] else point]
        _draw_curve(axes, curve, metric, colour, f"{' '.join(filter(None, shown))}, {curve.bpp.iloc[0]:.2f} bpp")
    guide = Line2D([], [], color="#444444", label=f"{GUIDE:g}x MSE of lambda 0", **_GUIDE_STYLE)
    axes.margins(0.06, 0.1)
    if _spans_decades(rows[metric.name].dropna().to_numpy(float)):
        log_values(axes)
    axes.set_xlabel("PSNR, dB")
    axes.set_ylabel(f"{metric.label}, {metric.unit}" if metric.unit else metric.label)
    handles = [*axes.get_legend_handles_labels()[0], guide, *_draw_floor(axes, floor)]
    axes.legend(handles=handles, frameon=True, framealpha=0.9, edgecolor="#ddd")


def _spans_decades(values: np.ndarray) -> bool:
    """Whether positive values differ so much that a linear axis would flatten most curves; exact pictures aside."""
    positive = values[values > 0]
    return bool(len(positive) and (values >= 0).all() and positive.max() > _LOG_RATIO * positive.min())


def _draw_curve(axes: Axes, curve: pd.DataFrame, metric: Metric | SetMetric, colour: str, label: str) -> None:
    known = curve.dropna(subset=["psnr_db", metric.name])
    known = known[np.isfinite(known.psnr_db)]
    if not len(known):
        return
    values = known[metric.name]
    axes.plot(known.psnr_db, values, "-o", color=colour, lw=1.6, ms=4, label=label)
    if known.lam.iloc[-1] > 0:
        axes.plot(known.psnr_db.iloc[-1], values.iloc[-1], "o", color=colour, mfc="white", ms=5, zorder=3)
    bars = _bars(known, metric)
    if bars is not None:
        axes.errorbar(known.psnr_db, values, yerr=bars, fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.6)
    if known.lam.iloc[0] == 0:
        axes.plot(known.psnr_db.iloc[0] - GUIDE_DB, values.iloc[-1], color=colour, label="_guide", **_GUIDE_STYLE)


def _bars(known: pd.DataFrame, metric: Metric | SetMetric) -> Any:
    """Lengths of error bars: of intervals over images, or the deviation of a metric of sets; None without either."""
    if isinstance(metric, Metric):
        return error_bars(known[metric.name], known[f"{metric.name}_low"], known[f"{metric.name}_high"])
    return None if metric.spread is None else known[metric.spread]


def _draw_floor(axes: Axes, floor: float | None) -> list[Any]:
    """The floor as a line where it is near the curves; where it is not, the legend alone states it."""
    from matplotlib.lines import Line2D

    if floor is None:
        return []
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        reach = (high / low) ** _FLOOR_REACH
        near = low / reach <= floor <= high * reach
    else:
        reach = _FLOOR_REACH * (high - low)
        near = low - reach <= floor <= high + reach
    where = "" if near else f", {'above' if floor > high else 'below'} the panel"
    if near:
        axes.axhline(floor, label="_floor", **_FLOOR_STYLE)
    return [Line2D([], [], label=f"floor: {floor:.3g}{where}", **_FLOOR_STYLE)]


PLOT = Plot(
    "distortion_perception",
    "Distortion and realism",
    draw,
    caption,
    order=20,
    caption_drawn=True,
    about=(
        "Metrics of realism, and LPIPS, against PSNR, along the pictures between the faithful and the realistic "
        "reconstruction of each point of a stream. Only runs with the codec ``interpolate`` have it."
    ),
)
