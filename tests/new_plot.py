"""A plot that the tests add: one file, or one package with an entry point."""

from __future__ import annotations

from pathlib import Path

NAME = "zzplot"
SOURCE = """
from matplotlib.figure import Figure
from uqdm.bench.plots import Plot

def draw(run_dir):
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, f"drawn of {run_dir.name}")
    return figure

PLOT = Plot("zzplot", "A new plot", draw, lambda run_dir: f"caption of {run_dir.name}", formats=("svg",), about="New.")
"""


def drop(folder: Path) -> None:
    """Writes the plot's module into a folder that is a part of ``uqdm.bench.plots``."""
    (folder / f"{NAME}.py").write_text(SOURCE)


def install(folder: Path) -> None:
    """Makes a package of the plot, to be put on the path of a Python process."""
    information = folder / "zzpackage-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "zzpackage.py").write_text(SOURCE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: zzpackage\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[uqdm.plots]\n{NAME} = zzpackage:PLOT\n")
