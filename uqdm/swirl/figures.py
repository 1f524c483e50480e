"""The figures of the swirl experiments, with their numbers in the paper: rates and curves (2), the source and a
universally quantized VDM (6), samples by T (7); and one that is not in the paper, reconstructions by step.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT, mean_of
from uqdm.bench.plots import NO_METADATA
from uqdm.bench.plots._style import RC, error_bars, write_caption
from uqdm.files import replacing
from uqdm.swirl.claims import published
from uqdm.swirl.estimates import N_FLOORS, SwirlResults, SystemAtT
from uqdm.swirl.measure import held_out
from uqdm.swirl.systems import LABELS
from uqdm.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
DPI = 110
MOST_BPD = 18.0
"""Upper end of the panel; rates of VDM at few steps are above it."""
N_DOTS = 400
N_SOURCE = 1000
"""Number of data points in Figure 6, as in the paper."""
N_COLUMNS = 6
SOURCE_SET = 3 + N_FLOORS
"""Index of the held-out set in Figure 6: the one after those of the floor."""
IDEAL = (0, (4, 2))
"""Line styles; rates without files are dashed."""

# Colours for all kinds of colour vision (Okabe & Ito 2008).
_LOOKS: dict[str, tuple[str, str]] = {
    "vdm": ("#0072B2", "s"),
    "learned": ("#D55E00", "o"),
    "fixed": ("#009E73", "^"),
    "vdm-weights": ("#56B4E9", "v"),
    "vdm-factors": ("#CC79A7", "D"),
}


def save_figures(run_dir: Path, measured: SwirlResults) -> list[Path]:
    """Draws all figures into the folder ``figures`` of a run; returns the files."""
    from matplotlib import rc_context

    drawers: dict[str, Callable[[SwirlResults], Figure]] = {
        "figure2": _rates,
        "figure6": _source_and_vdm_weights,
        "figure7": _samples,
        "reconstructions": _reconstructions,
    }
    paths = []
    for name, draw in drawers.items():
        with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
            figure = draw(measured)
            for suffix in FORMATS:
                paths.append(run_dir / "figures" / f"{name}.{suffix}")
                with replacing(paths[-1]) as temporary:
                    figure.savefig(temporary, format=suffix, dpi=DPI, metadata=NO_METADATA[suffix])
    return paths


# ---- figure 2 -----------------------------------------------------------------------------------------------


def _rates(measured: SwirlResults) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 5.2))
    bottom = write_caption(figure, [_rates_caption(measured)])
    figure.subplots_adjust(left=0.05, right=0.99, top=0.92, bottom=bottom + 0.12, wspace=0.26)
    left, middle, right = figure.subplots(1, 3)
    _draw_rates(left, measured)
    for axes, quantity in ((middle, "psnr_db"), (right, "distance")):
        _draw_curves(axes, measured, quantity)
    return figure


def _rates_caption(measured: SwirlResults) -> str:
    n_seeds, n_points = next(iter(measured.rates_bpd.values())).shape
    return (
        f"Swirl, {n_points:,} held-out points, {counted(n_seeds, 'seed')}. Left: bars are {LEVEL_TEXT} intervals over "
        f"seeds and points; rates above {MOST_BPD:g} are not drawn; crosses are the paper's figures. Middle and right: "
        "what a receiver has after some steps, drawn by the reverse process; bars on the right are the range of the "
        "seeds. Dashed: ideal rates of VDM, of which no file is made. Dotted on the right, with its range: independent "
        "points of the data themselves."
    )


def _draw_rates(axes: Axes, measured: SwirlResults) -> None:
    _draw_nelbo(axes, measured, tuple(_LOOKS))
    for claim in ("vdm-monotone", "uqdm-eight"):
        theirs = published(claim)
        axes.plot(1000 if claim == "vdm-monotone" else 5, theirs.value_bpd, "x", color="black", ms=8, mew=2, zorder=5)
    axes.set(xscale="log", ylim=(4.8, 1.3 * MOST_BPD))
    axes.set_title("Rate", loc="left", weight="bold")
    axes.legend(frameon=False, fontsize=8, loc="upper right")  # above all that is drawn


def _draw_nelbo(axes: Axes, measured: SwirlResults, systems: tuple[str, ...]) -> None:
    """NELBO against T with its intervals, a curve for each system, and the entropy of the data."""
    for system in systems:
        colour, marker = _LOOKS[system]
        steps = measured.steps(system)
        found = [measured.rate((system, n)) for n in steps]
        shown = [(n, one) for n, one in zip(steps, found, strict=True) if one.mean <= MOST_BPD]
        if not shown:
            continue
        means = np.array([one.mean for _, one in shown])
        bars = error_bars(means, [one.low for _, one in shown], [one.high for _, one in shown])
        axes.errorbar([n for n, _ in shown], means, yerr=bars, label=LABELS[system], **_look(system, colour, marker))
    axes.axhline(5.49, color="#888888", lw=0.8)
    axes.annotate(
        "entropy of the data, 5.49",
        (1, 5.49),
        xycoords=("axes fraction", "data"),
        xytext=(-4, -3),
        textcoords="offset points",
        ha="right",
        va="top",
        size=8,
        color="#666666",
    )
    axes.set(xlabel="steps T", ylabel="NELBO, bits per dimension")


def _draw_curves(axes: Axes, measured: SwirlResults, quantity: str) -> None:
    for key, places in measured.curves.items():
        colour, marker = _curve_look(key)
        known = [place for place in places if np.isfinite(place[quantity])]
        values = np.array([place[quantity] for place in known])
        ends = error_bars(values, *([place[f"{quantity}_{end}"] for place in known] for end in ("low", "high")))
        look = _look(key[0], colour, marker)
        axes.errorbar(
            [p["rate_bpd"] for p in known], values, yerr=ends, label=f"{LABELS[key[0]]}, T = {key[1]}", **look
        )
    axes.set_xlabel("rate, bits per dimension")
    if quantity == "psnr_db":
        axes.set_ylabel("PSNR, dB")
        axes.set_title("Distortion", loc="left", weight="bold")
        axes.legend(frameon=False, fontsize=8)
        return
    axes.axhline(mean_of(measured.floor), color="black", lw=1, ls=":")
    axes.axhspan(measured.floor.min(), measured.floor.max(), color="#888888", alpha=0.15, lw=0)
    axes.set(yscale="log", ylabel="sliced Wasserstein distance")
    axes.set_title("Realism", loc="left", weight="bold")


def _curve_look(key: SystemAtT) -> tuple[str, str]:
    """Line style of a system at T: the system's colour, darker with more steps."""
    from matplotlib.colors import to_hex, to_rgb

    colour, marker = _LOOKS[key[0]]
    shade = {3: 1.0, 5: 1.0, 10: 0.72, 20: 1.0, 30: 0.45, 100: 0.6}.get(key[1], 0.8)
    red, green, blue = to_rgb(colour)
    if key[1] == 3:
        return to_hex((0.45 + 0.55 * red, 0.45 + 0.55 * green, 0.45 + 0.55 * blue)), marker
    return to_hex((shade * red, shade * green, shade * blue)), marker


def _look(system: str, colour: str, marker: str) -> dict[str, Any]:
    style: Any = IDEAL if system == "vdm" else "-"
    return {"color": colour, "marker": marker, "ms": 4, "lw": 1.5, "elinewidth": 0.8, "capsize": 2, "ls": style}


# ---- figure 6 -----------------------------------------------------------------------------------------------


def _source_and_vdm_weights(measured: SwirlResults) -> Figure:
    """Points of the source, and universal quantization of a pretrained VDM next to a trained UQDM."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 5.4))
    bottom = write_caption(figure, [_vdm_weights_caption(measured)])
    figure.subplots_adjust(left=0.02, right=0.98, top=0.92, bottom=bottom + 0.12, wspace=0.14)
    left, right = figure.subplots(1, 2)
    points = source_points()
    left.scatter(points[:, 0], points[:, 1], s=5, color="#0b3d6b", linewidths=0, rasterized=True)
    left.set(xlim=(0, 255), ylim=(0, 255), xticks=[], yticks=[], aspect="equal")
    left.grid(visible=False)
    left.set_title(f"{N_SOURCE:,} samples of the source", loc="left", weight="bold")
    _draw_nelbo(right, measured, ("fixed", "vdm-weights", "vdm-factors", "learned"))
    right.set_ylim(4.8, 1.15 * MOST_BPD)
    right.set_title("Universal quantization on a pretrained VDM", loc="left", weight="bold")
    right.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def source_points() -> np.ndarray:
    """Points of the data, uint8 [N_SOURCE, 2], from a separate set; the same in every run.

    >>> source_points().shape
    (1000, 2)
    """
    return held_out(N_SOURCE, SOURCE_SET)


def _vdm_weights_caption(measured: SwirlResults) -> str:
    n_seeds, n_points = next(iter(measured.rates_bpd.values())).shape
    return (
        f"Left: {N_SOURCE:,} points of the data. Right: a VDM is trained for each of {counted(n_seeds, 'seed')}, and "
        "its weights are used with universal quantization at each T without more training: with the posterior's "
        "variance (fixed), and with one fitted factor of the deviation a step. For comparison: UQDM that is trained "
        f"for each T. Rates on {n_points:,} held-out points; bars are {LEVEL_TEXT} intervals over seeds and points; "
        f"rates above {MOST_BPD:g} are not drawn."
    )


# ---- figure 7, and reconstructions --------------------------------------------------------------------------


def _samples(measured: SwirlResults) -> Figure:
    table = measured.table("samples").query("seed == @seed", local_dict={"seed": measured.seeds[0]})
    rows = []
    for system in ("vdm", "fixed", "learned"):
        keys = _spread(sorted({int(n) for n in table[table.system == system].n_steps}))
        panels = [
            (f"T = {n}", table[(table.system == system) & (table.n_steps == n)][["x", "y"]].to_numpy()) for n in keys
        ]
        rows.append((LABELS[system], panels, [f"{mean_of(measured.samples[system, n]):.4f}" for n in keys]))
    caption = (
        f"Samples, up to {N_DOTS} points of seed {measured.seeds[0]}, over the data in grey. Below each panel the "
        f"sliced Wasserstein distance of {measured.n_sampled:,} samples to as many points of the data, mean over "
        f"seeds; of the data itself {mean_of(measured.floor):.4f}."
    )
    return _panels(measured, rows, caption)


def _reconstructions(measured: SwirlResults) -> Figure:
    table = measured.table("progressive").query("seed == @seed", local_dict={"seed": measured.seeds[0]})
    rows = []
    for (system, n_steps), places in measured.curves.items():
        if (system, n_steps) not in (("learned", 5), ("fixed", 5)) and system != "vdm":
            continue
        mine = table[(table.system == system) & (table.n_steps == n_steps)]
        chosen = [places[i] for i in _spread(list(range(len(places) - 1)))]
        panels = [
            (f"{place['rate_bpd']:.2f} bits/dim", mine[mine.known == place["known"]][["x", "y"]].to_numpy())
            for place in chosen
        ]
        rows.append((f"{LABELS[system]}, T = {n_steps}", panels, [_decibels(place["psnr_db"]) for place in chosen]))
    caption = (
        f"Reconstructions of up to {N_DOTS} points of seed {measured.seeds[0]} from more and more steps, over the data "
        "in grey; below each panel PSNR in dB over all points and seeds. VDM's rates are ideal: no file is made."
    )
    return _panels(measured, rows, caption)


def _decibels(psnr_db: float) -> str:
    return f"{psnr_db:.1f} dB" if np.isfinite(psnr_db) else "exact"


def _spread(items: list[int]) -> list[int]:
    """Up to ``N_COLUMNS`` of the items, the first and last included."""
    places = np.unique(np.linspace(0, len(items) - 1, min(N_COLUMNS, len(items))).round().astype(int))
    return [items[place] for place in places]


def _panels(
    measured: SwirlResults, rows: list[tuple[str, list[tuple[str, np.ndarray]], list[str]]], caption: str
) -> Figure:
    from matplotlib.figure import Figure

    width, height = 1.75 * N_COLUMNS + 0.3, 2.3 * len(rows) + 0.6
    figure = Figure(figsize=(width, height))
    bottom = write_caption(figure, [caption])
    figure.subplots_adjust(
        left=0.02, right=0.99, top=1 - 0.45 / height, bottom=bottom + 0.3 / height, hspace=0.48, wspace=0.06
    )
    grid = figure.subplots(len(rows), N_COLUMNS, squeeze=False)
    for line, (label, panels, values) in zip(grid, rows, strict=True):
        for axes in line[len(panels) :]:
            axes.set_axis_off()
        for axes, (title, points), value in zip(line, panels, values, strict=False):
            _draw_points(axes, measured.reference, points)
            axes.set_title(title, size=9)
            axes.set_xlabel(value, size=8, labelpad=2)
        line[0].set_title(f"{label}\n{panels[0][0]}", loc="left", size=9)
        line[0].set_title("")
    return figure


def _draw_points(axes: Axes, data: np.ndarray, points: np.ndarray) -> None:
    axes.scatter(data[:N_DOTS, 0], data[:N_DOTS, 1], s=2, color="#c8c8c8", linewidths=0, rasterized=True)
    axes.scatter(points[:N_DOTS, 0], points[:N_DOTS, 1], s=3, color="#0b3d6b", linewidths=0, rasterized=True)
    axes.set(xlim=(0, 255), ylim=(0, 255), xticks=[], yticks=[], aspect="equal")
    axes.grid(visible=False)
