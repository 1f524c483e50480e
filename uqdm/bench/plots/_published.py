"""Published curves behind the measured ones: grey, thin, hollow, and in a legend of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.published_curves import N_IMAGES, Relation, published, published_name, relation
from uqdm.bench.run.json_files import read_origin
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

TITLE = "published (Yang, Will & Mandt 2025)"
GREY = "#8a8a8a"
MARKERS = ("s", "^", "o", "D", "v", "<", ">", "p", "h", "P", "X", "d", "8", "*", "H")  # one for each system
STYLES = {"file": "-", "ideal": "--", "unstated": ":"}


def draw_published(axes: Axes, dataset: str, beside: Relation | None = None) -> None:
    """Draws what was published for a data set, if anything; it does not affect the limits of the axes.

    ``beside`` relates the measured images to the published ones; the legend states it.
    """
    from matplotlib.lines import Line2D

    rows = published_rows(dataset)
    if rows is None:
        return
    lines = []
    for (system, points), marker in zip(rows.groupby("system", sort=False), MARKERS, strict=False):
        kind = points.kind.iloc[0]
        look: dict[str, Any] = {
            "color": GREY,
            "lw": 0.7,
            "ls": STYLES[kind],
            "marker": marker,
            "mfc": "none",
            "ms": 4,
            "mew": 0.7,
        }
        line = Line2D(points.bpp, points.psnr_db, label=f"{system}, {kind}", zorder=0.9, **look)
        lines.append(axes.add_artist(line))  # unlike add_line it does not stretch the axes
    measured = axes.get_legend()
    title = TITLE if beside is None else f"{TITLE}\n{beside.published_images}"
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (1.01, 0), "borderaxespad": 0, "alignment": "left"}
    sizes: dict[str, Any] = {"fontsize": 6.5, "title_fontsize": 7, "handlelength": 2.6}
    axes.legend(handles=lines, title=title, frameon=False, **sizes, **place)
    if measured is not None:
        axes.add_artist(measured)


def published_rows(dataset: str) -> pd.DataFrame | None:
    """The published points that a rate-distortion plot can show; None if there are none for this data set."""
    name = published_name(dataset)
    if name is None:
        return None
    rows = published(name)
    return rows[(rows.bpp > 0) & np.isfinite(rows.psnr_db)]


def relations(run_dir: Path) -> dict[str, Relation]:
    """For each data set of a run with published figures: the relation of its images to the published ones."""
    summary, origin = read_summary(run_dir), read_origin(run_dir)
    counts = summary[summary.status == STATUS_OK].groupby("dataset")["n"].max()
    named = {str(dataset): (published_name(str(dataset)), int(n)) for dataset, n in counts.items()}
    return {dataset: relation(name, dataset, n, origin) for dataset, (name, n) in named.items() if name is not None}


def published_note(run_dir: Path) -> str:
    """The note on published curves below the plot of a run; empty if none are drawn."""
    beside = relations(run_dir)
    if not beside:
        return ""
    return (
        " Grey and hollow: figures published by Yang, Will & Mandt (2025), not measured here, "
        f"over {N_IMAGES:,} images; rates are sizes of files, a model's ideal rate, or unstated, as the legend says. "
        + " ".join(one.text for one in beside.values())
    )
