"""Plots of a run: one module for each, found in this package by its ``PLOT``.

A new plot is one new file here that defines ``PLOT = Plot(...)``; its name is the module's. Another package names its
``PLOT`` in an entry point of the group ``uqdm.plots``, under the plot's name. ``uqdm bench plot`` draws it, the report
shows it, and the workflow has its files among the products of a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_json
from uqdm.bench.run.layout import not_drawn_path, plots_dir
from uqdm.files import replacing, write_bytes
from uqdm.plugins import Broken
from uqdm.registry import Errors, Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENTRY_POINT_GROUP = "uqdm.plots"

_SHOWN = (".svg", ".png")
"""Suffixes that a page can show."""

# No date in a file, so that the same rows give the same bytes, and no URL of the plotting library.
NO_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class NothingToDrawError(ValueError):
    """A run has nothing that a plot could show. The message says what it lacks, and how to get it."""


@dataclass(frozen=True)
class Plot:
    """A plot: how it is drawn from a run's folder, and its texts in reports.

    ``draw`` and ``caption`` take the run's folder. Both raise :class:`~uqdm.bench.run.errors.ResultsError` where the
    run lacks what every run has. If it lacks what only some runs have, ``draw`` raises :class:`NothingToDrawError`: the
    plot of that run has no files, and is not in its report.
    """

    name: str
    """Name of its module or entry point, and of its files."""
    title: str
    """Heading in reports."""
    draw: Callable[..., Figure]
    caption: Callable[..., str]
    """The caption of the plot of one run, in the run's report."""
    formats: tuple[str, ...] = ("png", "svg", "pdf")
    """Some of ``"png"``, ``"svg"`` and ``"pdf"``."""
    shown: str = "svg"
    """The format that a report shows: ``"svg"``, or ``"png"`` for pictures of pixels; the other if there is only it."""
    order: int = 10
    """Plots of low order come first in a report."""
    caption_drawn: bool = False
    """True if the picture holds its caption."""
    about: str = ""
    """What the plot shows of any run: a paragraph of plain text for the workflow's report."""
    shows_published: bool = False
    """True if ``draw`` and ``caption`` also take ``published``: the choice of published curves, or None."""

    def drawn(self, run_dir: Path, published: str | None = None) -> Figure:
        """The figure of a run; plots that show no published curves ignore the choice of them."""
        return self.draw(run_dir, published=published) if self.shows_published else self.draw(run_dir)

    def captioned(self, run_dir: Path, published: str | None = None) -> str:
        """The caption of :meth:`drawn`."""
        return self.caption(run_dir, published=published) if self.shows_published else self.caption(run_dir)

    def files(self, run_dir: Path, folder: Path | None = None) -> list[Path]:
        """Where the plot of a run is kept, in the order of ``formats``: in ``folder``, or in the run if None."""
        return [(folder or plots_dir(run_dir)) / f"{self.name}.{suffix}" for suffix in self.formats]


def all_plots() -> tuple[Plot, ...]:
    """Every plot that can be used, sorted by name.

    >>> {"distortion_perception", "progressive", "rate_distortion"} <= {plot.name for plot in all_plots()}
    True
    """
    return tuple(sorted((plugin.value for plugin in PLOTS.loaded()), key=lambda plot: plot.name))


def broken_plots() -> tuple[Broken, ...]:
    """Plots that are left out, and why each."""
    return PLOTS.broken()


def find_plot(name: str) -> Plot:
    """The plot of that name; raises LookupError with suggestions and all names, ValueError for a broken one.

    >>> find_plot("progresive")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    LookupError: no plot 'progresive' (did you mean progressive?); known: distortion_perception, per_image, ...
    """
    return PLOTS.get(name)


def _check(name: str, plot: Any) -> Plot:
    if not isinstance(plot, Plot):
        raise ValueError(f"plot {name!r}: {type(plot).__name__} is not a Plot")
    if plot.name != name:
        raise ValueError(f"plot {name!r}: it is named {plot.name!r}; it needs the name of its module or entry point")
    for field in ("title", "about"):
        if not isinstance(getattr(plot, field), str):
            raise ValueError(f"plot {name!r}: its {field} is {type(getattr(plot, field)).__name__}, not text")
    if not plot.formats or not set(plot.formats) <= NO_METADATA.keys():
        raise ValueError(f"plot {name!r}: formats={plot.formats!r}: choose from {', '.join(NO_METADATA)}")
    return plot


def _plot_in_module(name: str, module: ModuleType) -> Any:
    return module.PLOT


PLOTS: Registry[Plot] = Registry(
    "plot",
    ENTRY_POINT_GROUP,
    _check,
    package=__name__,
    pick=_plot_in_module,
    errors=Errors(unknown=LookupError, clash=LookupError, unavailable=LookupError),
)


def save_plot(
    plot: Plot,
    run_dir: Path,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
    published: str | None = None,
) -> list[Path]:
    """Draws a plot of a run and writes it in each of its formats, into ``folder`` or the run; returns the files.

    ``published`` chooses published curves (:func:`uqdm.bench.analysis.published_systems.check_choice`).

    A run that has nothing to draw gets no files, and those of an earlier time are removed; the reason is passed to
    ``say``, and kept beside the plots.
    """
    from matplotlib import rc_context

    from uqdm.bench.plots._style import RC, take_names_literally

    files = plot.files(run_dir, folder)
    with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
        try:
            figure = plot.drawn(run_dir, published)
        except NothingToDrawError as error:
            _note(plot.name, str(error), files[0].parent)
            for path in files:
                path.unlink(missing_ok=True)
            if say is not None:
                say(f"{plot.name}: not drawn: {error}")
            return []
        take_names_literally(figure)
        for path in files:
            with replacing(path) as temporary:
                kind = path.suffix.removeprefix(".")
                figure.savefig(temporary, format=kind, metadata=NO_METADATA[kind])
    _note(plot.name, None, files[0].parent)
    return files


def shown_file(plot: Plot, run_dir: Path, folder: Path | None = None) -> Path | None:
    """The file that a report shows of a plot; None if the run has nothing to draw.

    Raises :class:`~uqdm.bench.run.errors.ResultsError`, with the command that makes it, if the file is missing.
    """
    files = [path for path in plot.files(run_dir, folder) if path.suffix in _SHOWN]
    if not files:
        return None
    path = next((path for path in files if path.suffix == f".{plot.shown}"), files[0])
    if path.is_file():
        return path
    if plot.name in not_drawn(path.parent):
        return None
    elsewhere = f" --out {folder}" if folder else ""
    raise ResultsError(f"no {path}; make it with: uqdm bench plot --run {run_dir}{elsewhere}")


def not_drawn(folder: Path) -> dict[str, str]:
    """The plots that a run has nothing to draw for, and why, as noted in its folder of plots."""
    path = not_drawn_path(folder)
    return {name: str(reason) for name, reason in read_json(path).items()} if path.is_file() else {}


def _note(name: str, reason: str | None, folder: Path) -> None:
    """Notes why a plot was not drawn, or, if ``reason`` is None, that it was."""
    before = not_drawn(folder)
    after = {known: text for known, text in before.items() if known != name}
    if reason is not None:
        after[name] = reason
    if after:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(not_drawn_path(folder), (json.dumps(after, indent=1, sort_keys=True) + "\n").encode())
    elif before:
        not_drawn_path(folder).unlink()
