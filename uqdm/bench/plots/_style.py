"""Type sizes of all plots, and what they share."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RC: dict[str, Any] = {
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # of equal widths, for readers of the SVG
    "font.size": 9,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "figure.dpi": 200,
    "pdf.fonttype": 42,  # text stays text in PDF, too
    "savefig.dpi": "figure",
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "uqdm",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}

CAPTION_SIZE = 8


def error_bars(values: Any, low: Any, high: Any) -> np.ndarray:
    """How far intervals reach below and above their values, [2, N], as Matplotlib takes it.

    An end on the wrong side of its value, by rounding or in a file of another program, is no bar; neither is an
    infinite one. NaN stays: Matplotlib leaves such a bar out.

    >>> error_bars([1.0, 2.0], [0.5, 2.1], [1.5, float("nan")]).tolist()
    [[0.5, 0.0], [0.5, nan]]
    """
    values, low, high = (np.asarray(one, np.float64) for one in (values, low, high))
    with np.errstate(invalid="ignore"):  # an infinite value has infinite ends
        bars = np.stack([values - low, high - values])
    return np.where(np.isinf(bars), np.nan, np.maximum(bars, 0))


def write_caption(figure: Figure, paragraphs: list[str]) -> float:
    """Writes text below the plots, wrapped to the width of the figure; returns its top as a share of the height."""
    width_in, height_in = figure.get_size_inches()
    columns = int(width_in * 72 / (CAPTION_SIZE * 0.56))  # 0.56 em: mean width of a character, with some to spare
    wrapped = [line for text in paragraphs for line in textwrap.wrap(text, columns)]
    line_height = CAPTION_SIZE * 1.45 / 72 / height_in
    bottom = 0.08 / height_in
    text = "\n".join(wrapped)
    figure.text(0.1 / width_in, bottom, text, size=CAPTION_SIZE, color="#333333", va="bottom", linespacing=1.25)
    return float(bottom + line_height * len(wrapped))


def take_names_literally(figure: Figure) -> None:
    """Keeps names with dollar signs from being set as formulas, which may be invalid."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if isinstance(text, Text) and "$" in text.get_text() and "\\mathdefault" not in text.get_text():
            text.set_parse_math(False)  # the labels of logarithmic axes, which hold \\mathdefault, are formulas


def message_figure(text: str) -> Figure:
    """A picture that says why there is nothing to draw."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.2))
    figure.text(0.5, 0.5, textwrap.fill(text, 90), ha="center", va="center", size=10, color="#333333")
    return figure
