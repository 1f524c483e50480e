"""Distortion-perception plot: realism against PSNR, from a point's faithful picture to its realistic one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.metrics import SetMetric, headline_set_metrics, labels_of, set_basis
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.plots._style import write_caption
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.unscored import unscored_text
from uqdm.bench.schema import ALL_METRICS, STATUS_OK
from uqdm.interpolate import lambda_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GUIDE = 2.0
"""The MSE that perfect realism needs at most, as a multiple of the least MSE."""
GUIDE_DB = 10 * math.log10(GUIDE)

_PANEL_WIDTH_IN, _PANEL_HEIGHT_IN = 6.2, 4.4
_GUIDE_STYLE: dict[str, Any] = {"marker": "|", "ms": 15, "mew": 1.6, "ls": "none"}
_GROUP = ["dataset", "codec", "setting"]
_POINT = ["point_index", "point"]


def draw(run_dir: Path) -> Figure:
    """A row of panels for each codec and setting, a panel for each metric.

    Raises :class:`~uqdm.bench.plots.NothingToDrawError` without pictures between two reconstructions or their metrics.
    """
    from matplotlib.figure import Figure

    rows = mixtures(read_summary(run_dir))
    metrics = [metric for metric in _metrics() if len(rows) and rows[metric.name].notna().any()]
    if not metrics:
        raise NothingToDrawError(_none(rows))
    groups = [(list(name), group) for name, group in rows.groupby(_GROUP, sort=False)]
    size = _PANEL_WIDTH_IN * len(metrics), _PANEL_HEIGHT_IN * len(groups) + 1.2
    figure = Figure(figsize=size)
    bottom = write_caption(figure, [caption(run_dir)])
    figure.subplots_adjust(
        left=0.75 / size[0], right=1 - 0.15 / size[0], top=1 - 0.45 / size[1], bottom=bottom + 0.6 / size[1]
    )
    figure.subplots_adjust(wspace=0.24, hspace=0.35)
    panels = figure.subplots(len(groups), len(metrics), squeeze=False)
    for line, (name, group) in zip(panels, groups, strict=True):
        dataset, codec, setting = map(str, name)
        for axes, metric in zip(line, metrics, strict=True):
            _draw_panel(axes, group, metric)
        line[0].set_title(f"{dataset}: distortion and realism of {_title(codec, setting)}", loc="left", weight="bold")
    return figure


def caption(run_dir: Path) -> str:
    """What the plot shows, over how many images, and what the guide means."""
    rows = mixtures(read_summary(run_dir))
    basis = set_basis()
    scored = rows[rows[basis.n].notna()]
    numbers = sorted({f"{n:,.0f}" for n in scored[basis.n]})
    with_bars = [metric for metric in _metrics() if metric.spread is not None]
    bars = f"Bars: standard deviation of {labels_of(with_bars)} over its subsets. " if with_bars else ""
    return (
        "Each curve is one point of a stream: pictures (1 - lambda) x_mmse + lambda x_realistic, from lambda 0 (the "
        "faithful picture, filled) to the largest (the realistic one, hollow). Down is more realistic, right is nearer "
        f"to the original; a curve that rises towards its hollow end gains no realism. Upright stroke: {GUIDE:g} times "
        f"the MSE of lambda 0, {GUIDE_DB:.2f} dB below it; a picture drawn at random from all that the bytes may stand "
        f"for costs just this. {bars}"
        f"Images: {rows.n.max():,} for PSNR, {' or '.join(numbers)} for {labels_of(_metrics())}"
        + (f"; {basis.caution}." if scored[basis.warning].notna().any() else ".")
    )


def mixtures(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of a summary that were made between two reconstructions, with their ``lam``."""
    ok = summary[summary.status == STATUS_OK]
    lams = ok.reconstruction.map(lambda_of, na_action="ignore").astype(float)
    return ok.assign(lam=lams)[lams.notna()].sort_values([*_GROUP, *_POINT, "lam"], kind="stable")


def _metrics() -> list[SetMetric]:
    return list(headline_set_metrics())


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


def _title(codec: str, setting: str) -> str:
    """The name of the codec inside ``interpolate``, or that of the codec itself."""
    inner = dict(part.partition("=")[::2] for part in setting.split(",") if "=" in part).get("codec", "")
    return inner.partition(":")[0] or codec


def _draw_panel(axes: Axes, rows: pd.DataFrame, metric: SetMetric) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D

    points = list(rows.groupby(_POINT, sort=True))
    for index, ((_, point), curve) in enumerate(points):
        colour = to_hex(colormaps["viridis"](0.9 * index / max(1, len(points) - 1)))
        _draw_curve(axes, curve, metric, colour, f"{point}, {curve.bpp.iloc[0]:.2f} bpp")
    guide = Line2D([], [], color="#444444", label=f"{GUIDE:g}x MSE of lambda 0", **_GUIDE_STYLE)
    axes.margins(0.06, 0.1)
    axes.set_xlabel("PSNR, dB")
    axes.set_ylabel(metric.label)
    axes.legend(handles=[*axes.get_legend_handles_labels()[0], guide], frameon=True, framealpha=0.9, edgecolor="#ddd")


def _draw_curve(axes: Axes, curve: pd.DataFrame, metric: SetMetric, colour: str, label: str) -> None:
    known = curve.dropna(subset=["psnr_db", metric.name])
    known = known[np.isfinite(known.psnr_db)]
    if not len(known):
        return
    values = known[metric.name]
    axes.plot(known.psnr_db, values, "-o", color=colour, lw=1.6, ms=4, label=label)
    if known.lam.iloc[-1] > 0:
        axes.plot(known.psnr_db.iloc[-1], values.iloc[-1], "o", color=colour, mfc="white", ms=5, zorder=3)
    if metric.spread is not None:
        axes.errorbar(
            known.psnr_db, values, yerr=known[metric.spread], fmt="none", ecolor=colour, elinewidth=0.8, alpha=0.6
        )
    if known.lam.iloc[0] == 0:
        axes.plot(known.psnr_db.iloc[0] - GUIDE_DB, values.iloc[-1], color=colour, label="_guide", **_GUIDE_STYLE)


PLOT = Plot(
    "distortion_perception",
    "Distortion and realism",
    draw,
    caption,
    order=20,
    caption_drawn=True,
    about=(
        "Metrics of realism against PSNR, along the pictures between the faithful and the realistic reconstruction of "
        "each point of a stream. Only runs with the codec ``interpolate`` have it."
    ),
)
