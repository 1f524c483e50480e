"""Published curves behind the measured ones: grey, thin, hollow, and in a legend of their own."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.best_of_family import chosen_systems
from uqdm.bench.analysis.published_curves import (
    IMAGES,
    N_IMAGES,
    Relation,
    field_sets,
    matching_set,
    relation,
)
from uqdm.bench.analysis.published_systems import FAMILIES, PublishedSystem, published_systems
from uqdm.bench.run.json_files import read_origin
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import STATUS_OK

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

TITLE = "published (Yang, Will & Mandt 2025)"
GREY = "#8a8a8a"
MARKERS = ("s", "^", "o", "D", "v", "<", ">", "p", "h", "P", "X", "d", "8", "*", "H")  # one for each of the paper
FAMILY_MARKERS = dict(zip(FAMILIES, MARKERS, strict=False))
STYLES = {"file": "-", "bitstream": "-", "ideal": "--", "nominal": "-.", "unstated": ":"}
_LONGEST_LABEL = 44  # characters of a label in a legend
_MOST_NAMED = 20  # systems that a legend names; of more, it names the families


def default_choice(name: str) -> str:
    """What is shown of a published set unless something else is asked for: all of the paper's, else the best."""
    return "all" if name in IMAGES else "best"


def markers_of(name: str, systems: Sequence[PublishedSystem]) -> list[str]:
    """A marker for each system of a set: its own in the paper's, that of its family in others."""
    if name in IMAGES:
        return [MARKERS[place % len(MARKERS)] for place in range(len(systems))]
    return [FAMILY_MARKERS[one.family] for one in systems]


def shown_systems(name: str | None, choice: str | None) -> dict[PublishedSystem, str]:
    """The systems of a set that a rate-distortion plot shows, each with its marker; ``choice`` None is the default."""
    if name is None:
        return {}
    systems = published_systems(name)
    marked = dict(zip((one.name for one in systems), markers_of(name, systems), strict=True))
    chosen = chosen_systems(systems, choice or default_choice(name), "psnr_db")
    return {one: marked[one.name] for one in chosen}


def draw_published(axes: Axes, name: str | None, beside: Relation | None, choice: str | None) -> None:
    """Draws the chosen curves of a published set, if any; they do not affect the limits of the axes.

    ``beside`` relates the measured images to the published ones; the legend states it.
    """
    shown = shown_systems(name, choice)
    if name is None or not shown:
        return
    lines = {one: axes.add_artist(_line(one, marker)) for one, marker in shown.items()}  # add_line would stretch axes
    measured = axes.get_legend()
    title = TITLE if name in IMAGES else f"published, {name}"
    title = title if beside is None else f"{title}\n{beside.published_images}"
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (1.01, 0), "borderaxespad": 0, "alignment": "left"}
    sizes: dict[str, Any] = {"fontsize": 6.5, "title_fontsize": 7, "handlelength": 2.6}
    named = list(lines)
    texts = [f"{textwrap.shorten(one.label, _LONGEST_LABEL, placeholder=' ...')}, {one.rate_kind}" for one in named]
    if len(named) > _MOST_NAMED:
        named = list({one.family: one for one in reversed(named)}.values())[::-1]
        texts = [f"{one.family}, {sum(other.family == one.family for other in lines)}" for one in named]
    axes.legend([lines[one] for one in named], texts, title=title, frameon=False, **sizes, **place)
    if measured is not None:
        axes.add_artist(measured)


def legend_lines(name: str | None, choice: str | None) -> int:
    """Lines that the legend of published curves takes."""
    shown = shown_systems(name, choice)
    return min(len(shown), _MOST_NAMED) + 3 if shown else 0


def _line(system: PublishedSystem, marker: str) -> Any:
    from matplotlib.lines import Line2D

    points = system.points[np.isfinite(system.points.psnr_db) & (system.points.bpp > 0)]
    look: dict[str, Any] = {"color": GREY, "lw": 0.7, "ls": STYLES[system.rate_kind], "marker": marker}
    look |= {"mfc": "none", "ms": 4, "mew": 0.7, "zorder": 0.9}
    many = max(1, len(points) // 12)  # a marker at every point of a dense curve hides the line
    return Line2D(points.bpp, points.psnr_db, label=f"{system.label}, {system.rate_kind}", markevery=many, **look)


def matching_sets(run_dir: Path) -> dict[str, str]:
    """For each data set of a run that published curves belong to: the name of their set."""
    origin = read_origin(run_dir)
    named = {name: matching_set(name, n, origin) for name, n in _counts(run_dir).items()}
    return {dataset: name for dataset, name in named.items() if name is not None}


def relations(run_dir: Path) -> dict[str, Relation]:
    """For each data set of a run with published curves: the relation of its images to the published ones."""
    counts, origin = _counts(run_dir), read_origin(run_dir)
    return {
        dataset: relation(name, dataset, counts[dataset], origin) for dataset, name in matching_sets(run_dir).items()
    }


def published_note(run_dir: Path, choice: str | None = None) -> str:
    """The note on published curves below the plot of a run; empty if none are drawn."""
    beside = relations(run_dir)
    drawn = {dataset: name for dataset, name in matching_sets(run_dir).items() if shown_systems(name, choice)}
    return "".join(f" {_note(name, choice)} {beside[dataset].text}" for dataset, name in drawn.items())


def _note(name: str, choice: str | None) -> str:
    if name in IMAGES:
        return (
            "Grey and hollow: figures published by Yang, Will & Mandt (2025), not measured here, "
            f"over {N_IMAGES:,} images; rates are sizes of files, a model's ideal rate, or unstated: see the legend."
        )
    which = " the best of each family," if (choice or default_choice(name)) == "best" else ""
    return (
        f"Grey and hollow: curves that others published on {field_sets()[name].text},{which} not measured here; the "
        "legend says what each rate is, the report has sources and caveats."
    )


def _counts(run_dir: Path) -> dict[str, int]:
    summary = read_summary(run_dir)
    counts = summary[summary.status == STATUS_OK].groupby("dataset")["n"].max()
    return {str(dataset): int(n) for dataset, n in counts.items()}
