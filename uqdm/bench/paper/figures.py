"""The paper's two figures with the measured curves: PSNR against rate, and FID against rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.bench.analysis.curve_styles import codec_style
from uqdm.bench.analysis.published_curves import N_IMAGES
from uqdm.bench.paper import protocol
from uqdm.bench.paper.head import bpg_by_psnr
from uqdm.bench.paper.judge import NOT_COMPARABLE
from uqdm.bench.paper.measured import Run
from uqdm.bench.plots import NO_METADATA
from uqdm.bench.plots._style import RC, error_bars, take_names_literally, write_caption
from uqdm.files import replacing
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
_GREY = "#9a9a9a"
_OTHERS = ("s", "^", "D", "v", "<", ">", "p", "h", "P", "X")  # of systems that do not run here
_WAYS = {"uqdm-d": "o", "uqdm-a": "^", "uqdm-f": "v"}
_LABELS = {"psnr_db": "PSNR, dB", "fid": "FID"}
_TITLES = {"psnr_db": "rate and distortion", "fid": "rate and realism"}
_WIDTH_IN, _PLOT_HEIGHT_IN = 8.6, 5.0


@dataclass(frozen=True)
class PlottedCurve:
    """A curve: its label, style, and points as ``x``, ``y`` and their intervals (NaN where there are none)."""

    label: str
    look: dict[str, Any]
    points: pd.DataFrame


def save_figures(run_dir: Path, run: Run, table: pd.DataFrame) -> list[Path]:
    """Draws both figures into the folder ``figures`` of a run and returns the files."""
    from matplotlib import rc_context

    paths = []
    for name, quantity in (("rate_distortion", "psnr_db"), ("rate_fid", "fid")):
        with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
            figure = draw(run, table, quantity)
            take_names_literally(figure)
            for suffix in FORMATS:
                paths.append(run_dir / "figures" / f"{name}.{suffix}")
                with replacing(paths[-1]) as temporary:
                    figure.savefig(temporary, format=suffix, metadata=NO_METADATA[suffix])
    return paths


def draw(run: Run, table: pd.DataFrame, quantity: str) -> Figure:
    """One figure: ``quantity`` ("psnr_db" or "fid") against rate, published curves and measured ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, _PLOT_HEIGHT_IN + 1.2))
    published, measured = list(_published(table, quantity)), list(_measured(table, quantity))
    nothing = "" if measured else _nothing(table, quantity)
    top = write_caption(figure, [_caption(run, table, quantity, nothing)])
    height = float(figure.get_size_inches()[1])
    axes = figure.subplots()
    figure.subplots_adjust(left=0.075, right=0.74, top=1 - 0.35 / height, bottom=top + 0.5 / height)
    for line in [*published, *measured]:
        _draw_line(axes, line)
    title = f"{protocol.TITLES[run.name]}: {_TITLES[quantity]} ({protocol.FIGURES[run.name]} of the paper)"
    axes.set_title(title, loc="left", weight="bold")
    axes.set_xlabel("rate, bits per pixel")
    axes.set_ylabel(_LABELS[quantity])
    axes.set_xlim(left=0)
    if quantity == "fid":
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
    _legends(axes, run, published, measured)
    if nothing:
        look = {"facecolor": "white", "edgecolor": "#cccccc", "alpha": 0.9}
        axes.text(0.98, 0.97, nothing, transform=axes.transAxes, ha="right", va="top", color="#333333", bbox=look)
    return figure


def _published(table: pd.DataFrame, quantity: str) -> Iterator[PlottedCurve]:
    """The published curves: coloured if the system runs here, else grey; doubtful ones are left out."""
    others = iter(_OTHERS)
    rows = table.drop_duplicates(["system", "point", "quantity"])  # one for all models
    for system in rows.system.unique():
        of_system = rows[rows.system == system]
        look: dict[str, Any]
        if system in _WAYS or of_system.codec.notna().any():
            look = {**_own_look(system), "alpha": 0.75}
        else:
            look = {"color": _GREY, "marker": next(others, "H"), "alpha": 0.9, "zorder": 0.9}
        points = _paired(of_system, quantity, "published")
        if len(points) and not (quantity == "fid" and (of_system.doubt != "").any()):
            yield PlottedCurve(system, {**look, "ls": "--", "lw": 0.8, "mfc": "none", "ms": 4.5, "mew": 0.8}, points)


def _measured(table: pd.DataFrame, quantity: str) -> Iterator[PlottedCurve]:
    """The curves measured here: solid, filled."""
    run_here = table[table.codec.notna()]
    for system, model in run_here[["system", "model"]].drop_duplicates().itertuples(index=False):
        rows = run_here[(run_here.system == system) & (run_here.model == model)]
        points = _paired(rows, quantity, "ours")
        if len(points):
            look = {**_own_look(system), "ls": "-", "lw": 1.6, "ms": 4.5, "zorder": 3}
            yield PlottedCurve(_label(system, model), look, points)


def _label(system: str, model: str) -> str:
    if system == protocol.HYPERPRIOR:
        return protocol.SMALL_TITLE
    return f"{system}, {model}" if model else system


def _own_look(system: str) -> dict[str, Any]:
    """Colour and marker of a system that runs here: those of its codec in all plots."""
    colour, marker = codec_style(protocol.UQDM if system in _WAYS else system)
    return {"color": colour, "marker": _WAYS.get(system, marker)}


def _paired(rows: pd.DataFrame, quantity: str, column: str) -> pd.DataFrame:
    """Rate and quantity of each point that has both, with their intervals."""
    wide = rows.pivot(index="point", columns="quantity", values=[column, "low", "high"])
    points = {
        "x": wide[column, "bpp"],
        "y": wide[column, quantity],
        "x_low": wide["low", "bpp"],
        "x_high": wide["high", "bpp"],
        "y_low": wide["low", quantity],
        "y_high": wide["high", quantity],
    }
    import pandas as pd

    found = pd.DataFrame(points).astype(float)
    return found[np.isfinite(found.x) & np.isfinite(found.y)]


def _draw_line(axes: Axes, line: PlottedCurve) -> None:
    points = line.points
    axes.plot(points.x, points.y, label=line.label, **line.look)
    known = points.dropna()
    if line.look["ls"] == "-" and len(known):
        axes.errorbar(
            known.x,
            known.y,
            xerr=error_bars(known.x, known.x_low, known.x_high),
            yerr=error_bars(known.y, known.y_low, known.y_high),
            fmt="none",
            ecolor=line.look["color"],
            elinewidth=0.8,
            alpha=0.6,
        )


def _legends(axes: Axes, run: Run, published: list[PlottedCurve], measured: list[PlottedCurve]) -> None:
    """Legends beside the plot: one of the measured curves, one of the published ones."""
    handles, _ = axes.get_legend_handles_labels()
    style: dict[str, Any] = {"loc": "upper left", "frameon": False, "alignment": "left", "fontsize": 7.5}
    height = 1.0
    theirs = run.relation.published_images.replace(", ", ",\n")
    groups = [(f"measured here\n{counted(run.n_images, 'image')}", handles[len(published) :])] if measured else []
    groups += [(f"published\n{theirs}", handles[: len(published)])]
    for number, (title, lines) in enumerate(groups, start=1):
        legend = axes.legend(
            handles=lines, title=title, title_fontsize=8, bbox_to_anchor=(1.01, height), handlelength=2.6, **style
        )
        if number < len(groups):
            axes.add_artist(legend)  # a second legend would replace the first
        height -= 0.115 + 0.037 * len(lines)


def _caption(run: Run, table: pd.DataFrame, quantity: str, nothing: str) -> str:
    measured = (
        f"Solid and filled: measured here on {counted(run.n_images, 'image')} of {run.dataset} (fingerprint "
        f"{run.fingerprint}), with {LEVEL_TEXT} bootstrap intervals over images."
    )
    published = (
        f"Dashed and hollow: published by Yang, Will & Mandt (2025), over {N_IMAGES:,} images; grey: systems that "
        "were not run here."
    )
    parts = [f"{nothing}.", published] if nothing else [measured, published, run.relation.text]
    if run.relation.kind == "named" and not nothing:
        parts.append("Differences may be those of the images.")
    if table.system[table.model != ""].isin(_WAYS).any():
        parts.append("Rates of UQDM are ideal ones, as published; those of its files are in the table.")
    if quantity == "fid":
        parts.append(_fid_note(table))
    elif bpg_by_psnr(table):
        parts.append("BPG: libx265 here, jctvc as published.")
    return " ".join(part for part in parts if part)


def _fid_note(table: pd.DataFrame) -> str:
    doubts = table[table.doubt != ""].system.unique()
    return f"Left out: {', '.join(doubts)}, whose published FID is doubtful." if len(doubts) else ""


def _nothing(table: pd.DataFrame, quantity: str) -> str:
    """Why no measured curve is drawn."""
    rows = table[(table["quantity"] == quantity) & table.codec.notna()]
    reasons = rows[rows.verdict == NOT_COMPARABLE].reason.unique()
    listed = "; ".join(map(str, (reasons if len(reasons) else rows.reason.unique())[:2]))
    return f"No comparable {_LABELS[quantity].partition(',')[0]} measured here: {listed or 'nothing was run'}"
