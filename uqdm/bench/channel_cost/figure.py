"""Code length beyond the divergence, and samples drawn, against the divergence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.bench.plots._style import error_bars, write_caption
from uqdm.bench.run.tables import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008, as in the other plots; universal quantization has UQDM's colour.
_STYLES = {
    "universal quantization": ("#D55E00", "o"),
    "poisson": ("#0072B2", "s"),
    "greedy rejection": ("#009E73", "^"),
    "greedy rejection, split": ("#CC79A7", "v"),
    "minimal random": ("#E69F00", "D"),
    "ordered random": ("#56B4E9", "P"),
}
_LABELS = {"poisson": "Poisson functional representation", "greedy rejection": "greedy rejection (median)"}
_BY_MEDIAN = "greedy rejection"
"""Its mean is dominated by rare long searches, and unknown where one was stopped."""


def draw(table: pd.DataFrame) -> Figure:
    """Both panels of the measured costs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.6, 5.8))
    top = write_caption(figure, [caption(table)])
    left, right = figure.subplots(1, 2)
    for method, rows in table.groupby("method", sort=False):
        _draw_length(left, str(method), rows)
        _draw_draws(right, str(method), rows)
    _draw_wall(right, table)
    left.axhline(0, color="#888888", lw=0.8)
    left.set_title("Bits beyond the divergence", loc="left", weight="bold")
    left.set_ylabel("code length minus KL, bits per message")
    right.set_yscale("log", base=10)
    right.set_title("Samples drawn", loc="left", weight="bold")
    right.set_ylabel("candidates examined per dimension")
    for axes in (left, right):
        axes.set_xlabel("KL(q || p), bits")
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, frameon=False, bbox_to_anchor=(0.5, 1.0))
    figure.subplots_adjust(left=0.065, right=0.985, top=0.82, bottom=top + 0.1, wspace=0.17)
    return figure


def caption(table: pd.DataFrame) -> str:
    """Explanation of the figure, with the number of messages."""
    counts = table.n.min(), table.n.max()
    biased = " and ".join(table[table.bias != ""].method.unique())
    return (
        f"One message per sample, in whole bits; {counts[0]:,} to {counts[1]:,} messages per point; bars: {LEVEL_TEXT} "
        "bootstrap intervals. Left: mean length minus KL; dotted: ideal length by the code's model, approached by many "
        "messages coded together. Right: mean number of candidates; for greedy rejection the median, since its mean is "
        "dominated by rare long searches. Arrows: messages were stopped there, and no mean is given. "
        f"{biased.capitalize()} coding are biased: they examine only 2^(KL + 4) candidates."
    )


def _draw_length(axes: Axes, method: str, rows: pd.DataFrame) -> None:
    colour, marker = _STYLES[method]
    bars = error_bars(rows.excess_bits, rows.excess_bits_low, rows.excess_bits_high)
    axes.errorbar(rows.kl_bits, rows.excess_bits, bars, color=colour, marker=marker, ms=5, lw=1.6, elinewidth=0.9)
    axes.plot(rows.kl_bits, rows.ideal_bits - rows.kl_bits, ":", color=colour, lw=1.1)


def _draw_draws(axes: Axes, method: str, rows: pd.DataFrame) -> None:
    colour, marker = _STYLES[method]
    look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 5, "lw": 1.6, "label": _LABELS.get(method, method)}
    if method == _BY_MEDIAN:
        axes.plot(rows.kl_bits, rows.draws_median, **{**look, "ls": "--", "mfc": "white"})
        return
    axes.errorbar(rows.kl_bits, rows.draws, error_bars(rows.draws, rows.draws_low, rows.draws_high), **look)
    for row in records(rows[rows.stopped > 0]):
        at, cap = row["kl_bits"], row["max_draws"]
        axes.annotate("", (at, 4 * cap), (at, cap), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.4})
        text = f"{row['stopped']} of {row['n']}\nstopped"
        axes.annotate(text, (at, cap / 1.5), ha="center", va="top", size=7, color=colour)


def _draw_wall(axes: Axes, table: pd.DataFrame) -> None:
    kl_bits = np.linspace(table.kl_bits.min(), table.kl_bits.max(), 200)
    nats = kl_bits * math.log(2)
    wall = np.exp(nats + 4 * np.sqrt(2 * nats))
    axes.plot(kl_bits, wall, color="#222222", lw=1, alpha=0.7, label="exp(KL + 4 sqrt(2 KL)), nats", zorder=1)
    axes.fill_between(kl_bits, wall / 2, wall * 2, color="#222222", alpha=0.08, lw=0, label="within a factor of 2")
    axes.set_ylim(0.5, 3 * wall.max())
