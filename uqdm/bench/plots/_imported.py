"""Imported curves of others beside measured ones: dashed, with hollow marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curve_styles import imported_styles
from uqdm.bench.exchange.imported import imported_curves, legend_of
from uqdm.bench.exchange.rd_curve import RATE

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from uqdm.bench.analysis.curves import Curve
    from uqdm.bench.exchange.rd_curve import RdCurve


def imported_with(run_dir: Path, metric: str) -> list[RdCurve]:
    """The imported curves of a run that have values of a metric."""
    return [curve for curve in imported_curves(run_dir) if metric in curve.metrics]


def draw_imported(axes: Axes, curves: Sequence[RdCurve], drawn: Sequence[Curve], metric: str) -> dict[str, Any]:
    """Draws curves, and returns their lines by the text of the legend; ``drawn`` are the measured ones beside them."""
    styles = imported_styles([curve.name for curve in curves], drawn)
    lines = []
    for curve in curves:
        style, points = styles[curve.name], curve.points[np.isfinite(curve.points[metric])]
        look: dict[str, Any] = {"ls": style.line, "color": style.colour, "lw": 1.1, "marker": style.marker}
        look |= {"mfc": "white", "ms": 5, "mew": 1, "zorder": 1.5}
        lines += axes.plot(points[RATE], points[metric], **look)
    return dict(zip(legend_of(curves), lines, strict=False))  # one text for all where they are many


def imported_rates(curves: Sequence[RdCurve]) -> np.ndarray:
    """The rates of all points, bits per pixel."""
    return np.concatenate([np.empty(0), *(curve.points[RATE].to_numpy(float) for curve in curves)])
