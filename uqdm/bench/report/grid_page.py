"""The files of a grid of pictures: PNG, PDF, and a page that loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.grid.content import Grid, read_grid
from uqdm.bench.grid.figure import save_figure
from uqdm.bench.grid.options import GridOptions
from uqdm.bench.report.grid import shown_grid
from uqdm.bench.report.library import csp_hash
from uqdm.bench.report.pictures import data_uri
from uqdm.bench.report.templates import environment, text_of
from uqdm.bench.run.layout import grid_dir, grid_path
from uqdm.files import write_bytes

_SCRIPTS = ("elements.js", "theme.js", "grid_page.js")
_POLICY = "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data:"
_STYLES = ("page.css", "viewer.css", "grid.css")


@dataclass(frozen=True)
class SavedGrid:
    """A grid and the files that it was written to."""

    grid: Grid
    files: list[Path]


def save_grid(run_dir: Path, options: GridOptions, folder: Path | None = None) -> SavedGrid:
    """Writes the grid of a summarized run in the formats of the options, into ``folder`` or the run's own.

    Raises what :func:`uqdm.bench.grid.content.read_grid` raises, before anything is written.
    """
    grid = read_grid(run_dir, options)
    files = [grid_path(folder or grid_dir(run_dir), kind) for kind in dict.fromkeys(options.formats)]
    for path in files:
        if path.suffix == ".html":
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, render_grid(grid).encode())
        else:
            save_figure(grid, path)
    return SavedGrid(grid, files)


def render_grid(grid: Grid) -> str:
    """The page as HTML, pictures included."""
    script = "\n".join(text_of(name) for name in _SCRIPTS)
    return (
        environment()
        .get_template("grid_page.html")
        .render(
            title=f"Pictures at equal rates: {grid.dataset}",
            caption=grid.caption,
            policy=_POLICY.format(csp_hash(script.encode())),
            style="\n".join(text_of(name) for name in _STYLES),
            script=script,
            grid=shown_grid(grid, lambda image_uint8: ("src", data_uri(image_uint8))),
        )
    )
