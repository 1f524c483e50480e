"""A grid of pictures at equal rates as the templates show it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.grid.choice import N_IMAGES
from uqdm.bench.grid.content import Grid, GridColumn, GridRow, Tile, make_grid
from uqdm.bench.grid.options import GridOptions
from uqdm.bench.grid.window import AUTOMATIC_SIDE
from uqdm.bench.plots import NothingToDrawError
from uqdm.bench.report.pictures import PicturePool, share_out

if TYPE_CHECKING:
    import pandas as pd

    from uqdm.bench.run.pictures import OpenRun

BUDGET_PIXELS = 700_000
"""Pixels of all pictures of the grid in a report: at most 2 MB of the page."""
_SHOWN_SIDE = 160  # least longest side of a picture on the page, CSS pixels

Place = Callable[[np.ndarray], tuple[str, str]]
"""Puts a picture into a page, and returns the attribute of the ``img`` element that shows it, with its value."""


@dataclass(frozen=True)
class ShownPicture:
    """An ``img`` element."""

    attribute: str
    value: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class ShownTile:
    """A cell: a picture with its lines, or why there is none."""

    codec: str
    picture: ShownPicture | None
    lines: Sequence[str]
    place: str
    absent: str


@dataclass(frozen=True)
class ShownRow:
    """A row: its rate and image, the size of pictures in CSS pixels, the whole image where they are a part, cells."""

    rate: str
    image_id: str
    width: int
    height: int
    thumbnail: ShownPicture | None
    tiles: list[ShownTile]


@dataclass(frozen=True)
class ShownGrid:
    """The grid for the template, or ``absent``: why there is none."""

    columns: Sequence[GridColumn] = ()
    rows: Sequence[ShownRow] = ()
    caption: str = ""
    notes: Sequence[str] = ()
    absent: str = ""


def report_grid(open_run: OpenRun, summary: pd.DataFrame, pool: PicturePool) -> ShownGrid:
    """The grid of a report, of the first data set, with the default options and as many images as the page can hold."""
    run = open_run(str(summary.dataset.iloc[0]))
    if run.rows.empty:
        return ShownGrid(absent="No pictures to compare: no codec of this run coded an image.")
    sides = [min(AUTOMATIC_SIDE, int(run.rows[name].median())) for name in ("height", "width")]
    count, _ = share_out(BUDGET_PIXELS, 2 * (1 + run.rows.codec.nunique()), N_IMAGES, sides[0], sides[1])
    try:
        grid = make_grid(run, summary, GridOptions(), count)
    except NothingToDrawError as error:
        return ShownGrid(absent=f"No pictures to compare: {error}.")
    return shown_grid(grid, lambda image_uint8: ("data-picture", str(pool.add(image_uint8))))


def shown_grid(grid: Grid, place: Place) -> ShownGrid:
    """A grid for the template; ``place`` puts its pictures into the page."""
    return ShownGrid(grid.columns, [_row(grid, row, place) for row in grid.rows], grid.caption, grid.notes)


def _row(grid: Grid, row: GridRow, place: Place) -> ShownRow:
    thumbnail = None
    if row.thumbnail is not None:
        where = f"{row.image_id}, whole, with a frame around the part that is shown"
        thumbnail = _picture(row.thumbnail, 1, where, place)
    scale = math.ceil(_SHOWN_SIDE / max(row.window.width, row.window.height))
    cells = [("", "original", row.original)]
    cells += [(column.codec, column.name, tile) for column, tile in zip(grid.columns, row.tiles, strict=True)]
    tiles = [_tile(row, *cell, scale, place) for cell in cells]
    size = row.window.width * scale, row.window.height * scale
    return ShownRow(f"{row.rate_bpp:g} bpp", row.image_id, *size, thumbnail, tiles)


def _tile(row: GridRow, codec: str, name: str, tile: Tile, scale: int, place: Place) -> ShownTile:
    alt = ", ".join([row.image_id, name, *tile.lines])
    picture = None if tile.image_uint8 is None else _picture(tile.image_uint8, scale, alt, place)
    return ShownTile(codec, picture, tile.lines, tile.place, tile.absent)


def _picture(image_uint8: np.ndarray, scale: int, alt: str, place: Place) -> ShownPicture:
    height, width = image_uint8.shape[:2]
    return ShownPicture(*place(image_uint8), width * scale, height * scale, alt)
