"""Plots of a run: a module each, found in this package by its ``PLOT``.

A new plot is one new file here that defines ``PLOT = Plot(...)``; its name is the module's.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.bench.run.layout import plots_dir
from uqdm.files import replacing
from uqdm.plugins import Broken, check_name, contained, reason_of
from uqdm.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# No date in a file, so that the same rows give the same bytes; and no address of the program that drew it.
NO_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


@dataclass(frozen=True)
class Plot:
    """A plot: how it is drawn from a run's folder, and what is said below it in a report.

    ``draw`` and ``caption`` take the run's folder. Both raise :class:`~uqdm.bench.run.errors.ResultsError` where the
    run lacks what every run has; what only some runs have is said in the picture. ``caption_drawn`` says that the
    picture holds its caption. ``formats`` are "png" and "svg". Plots of low ``order`` come first in a report.
    """

    name: str
    title: str
    draw: Callable[[Path], Figure]
    caption: Callable[[Path], str]
    formats: tuple[str, ...] = ("png",)
    order: int = 10
    caption_drawn: bool = False

    def files(self, run_dir: Path, folder: Path | None = None) -> list[Path]:
        """Where the plot of a run is kept, in the order of ``formats``: in ``folder``, or in the run if None."""
        return [(folder or plots_dir(run_dir)) / f"{self.name}.{suffix}" for suffix in self.formats]


def all_plots() -> tuple[Plot, ...]:
    """Every plot in this package that can be used, sorted by name.

    >>> [plot.name for plot in all_plots()]
    ['distortion_perception', 'progressive', 'rate_distortion']
    """
    return _load()[0]


def broken_plots() -> tuple[Broken, ...]:
    """Modules of this package whose plot is left out, and why each."""
    return _load()[1]


@functools.cache
def _load() -> tuple[tuple[Plot, ...], tuple[Broken, ...]]:
    plots: list[Plot] = []
    broken: list[Broken] = []
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")):
        try:
            plots.append(_plot(name))
        except Exception as error:
            broken.append(Broken("plot", printable(name), f"{__name__}.{printable(name)}", reason_of(error)))
    return tuple(plots), tuple(broken)


def _plot(name: str) -> Plot:
    """The plot of a module; its name, which names files, is the module's."""
    check_name("plot", name)
    with contained():
        plot = importlib.import_module(f"{__name__}.{name}").PLOT
    if not isinstance(plot, Plot):
        raise TypeError(f"PLOT is {type(plot).__name__}, not Plot")
    if plot.name != name:
        raise ValueError(f"a plot has the name of its module; found {plot.name!r} in {name}.py")
    return plot


def find_plot(name: str) -> Plot:
    """The plot of that name; raises LookupError with suggestions and all names.

    >>> find_plot("progresive")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    LookupError: no plot 'progresive' (did you mean progressive?); known: distortion_perception, progressive, ...
    """
    known = {plot.name: plot for plot in all_plots()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        left_out = "".join(f"; left out: {one}" for one in broken_plots() if one.name == printable(name))
        raise LookupError(f"no plot {printable(name)!r}{hint}; known: {', '.join(known)}{left_out}")
    return known[name]


def save_plot(plot: Plot, run_dir: Path, folder: Path | None = None) -> list[Path]:
    """Draws a plot of a run and writes it in each of its formats, into ``folder`` or the run; returns the files."""
    from matplotlib import rc_context

    from uqdm.bench.plots._style import RC, take_names_literally

    with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
        figure = plot.draw(run_dir)
        take_names_literally(figure)
        for path in plot.files(run_dir, folder):
            with replacing(path) as temporary:
                kind = path.suffix.removeprefix(".")
                figure.savefig(temporary, format=kind, metadata=NO_METADATA[kind])
    return plot.files(run_dir, folder)
