"""Type sizes of all plots, and a fixed colour and marker for each codec."""

from __future__ import annotations

import textwrap
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from uqdm.bench.analysis.curves import Curve

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
    "savefig.dpi": "figure",
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "uqdm",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}

CAPTION_SIZE = 8

# Colours that readers with any colour vision tell apart (Okabe & Ito 2008), by codec.
_KNOWN = {
    "uqdm": ("#D55E00", "o"),
    "jpeg": ("#555555", "s"),
    "jpeg-tuned": ("#111111", "8"),
    "jpeg-progressive": ("#994455", "*"),
    "jpeg2000": ("#E69F00", "^"),
    "jpeg2000-progressive": ("#997700", ">"),
    "jpeg2000-tuned": ("#8C510A", "p"),
    "webp": ("#56B4E9", "v"),
    "avif": ("#009E73", "D"),
    "jxl": ("#0072B2", "P"),
    "png": ("#CC79A7", "X"),
    "bpg": ("#117733", "d"),
    "bpg-tuned": ("#77AA22", "d"),
    "vdm": ("#332288", "h"),
}
# Other codecs take one of these by their name (Tol 2021, muted), so that no codec changes another's.
_COLOURS = ("#332288", "#882255", "#999933", "#44AA99", "#661100", "#AA4499", "#117733", "#6699CC")
_MARKERS = ("<", ">", "p", "h", "*", "d", "8")

LineStyle = str | tuple[float, tuple[float, ...]]

LINE_STYLES: tuple[LineStyle, ...] = ("-", "-.", ":")
"""For several curves of one codec, in turn. Dashes are kept for ideal rates."""
IDEAL_LINE_STYLES: tuple[LineStyle, ...] = ("--", (0, (9, 3)), (0, (2.2, 1.6)))
"""For several curves of one ideal codec: dashes, long ones and short ones."""


def codec_style(codec: str) -> tuple[str, str]:
    """Colour and marker of a codec; they depend on its name alone.

    >>> codec_style("uqdm")
    ('#D55E00', 'o')
    """
    digest = zlib.crc32(codec.encode())
    other = _COLOURS[digest % len(_COLOURS)], _MARKERS[digest // len(_COLOURS) % len(_MARKERS)]
    return _KNOWN.get(codec, other)


def curve_styles(drawn: Sequence[Curve]) -> dict[str, LineStyle]:
    """A line style for each curve by its label: of several of one codec the denoised pictures' is the plainest.

    Ideal codecs are dashed, and nothing else that is measured.
    """
    found: dict[str, LineStyle] = {}
    for curve in drawn:
        siblings = sorted((one for one in drawn if one.codec == curve.codec), key=_denoised_first)
        styles = IDEAL_LINE_STYLES if curve.ideal else LINE_STYLES
        found[curve.label] = styles[[one.label for one in siblings].index(curve.label) % len(styles)]
    return found


def _denoised_first(curve: Curve) -> tuple[bool, str]:
    return curve.reconstruction != "denoise", curve.label


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
