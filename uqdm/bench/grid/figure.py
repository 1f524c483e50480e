"""A grid as PNG and PDF: every pixel of a picture is a square of whole pixels of the file, in both.

In the PDF pictures are stored without loss, enlarged by the same whole number, so that no viewer blurs them.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.grid.content import Grid, GridRow, Tile
from uqdm.bench.plots import NO_METADATA
from uqdm.bench.plots._style import RC, take_names_literally
from uqdm.files import replacing
from uqdm.text import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_IN = 7.0
"""Width of the figure in inches, that of the text of a paper; many columns make it wider."""
_TILE_IN = (0.78, 1.3)  # least and greatest width of a tile
_TILE_PIXELS = 256  # least longest side of a tile in the file
_MOST_PIXELS = 2**16 - 1  # of a side of the file
_GAP_IN, _SIDE_IN, _MARGIN_IN = 0.06, 0.34, 0.05
_SIZE, _SMALL = 6.5, 5.3  # of text, points
_LINE_IN = 1.28 * _SIZE / 72
_CHARACTER_IN = 0.6 * _SIZE / 72  # mean width


def save_figure(grid: Grid, path: Path) -> None:
    """Writes a grid as PNG or PDF, by the suffix of the path."""
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".")
    with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
        figure = draw_grid(grid)
        take_names_literally(figure)
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=NO_METADATA[kind])


def draw_grid(grid: Grid) -> Figure:
    """The rows of a grid below each other, with the names of the columns above them.

    Raises ValueError for more rows or columns than a file can hold.
    """
    from matplotlib.figure import Figure

    layout = _Layout.of(grid)
    if max(layout.width, layout.height) > _MOST_PIXELS:
        size = f"{counted(len(grid.rows), 'row')} and {counted(len(grid.columns), 'column')}"
        raise ValueError(
            f"{size} make a figure of {layout.width} x {layout.height} pixels, more than {_MOST_PIXELS:,} on a side; "
            "choose fewer images, rates or codecs, or a smaller crop"
        )
    # Matplotlib rounds the size in pixels down.
    size_in = [(pixels + 1e-6) / layout.dpi for pixels in (layout.width, layout.height)]
    figure = Figure(figsize=(size_in[0], size_in[1]), dpi=layout.dpi)
    canvas = _Canvas(figure, layout.width, layout.height)
    for place, name in enumerate(_headings(grid)):
        x = layout.left(place) + layout.tile // 2
        canvas.text(x, layout.head - layout.pixels(0.03), layout.wrapped(name), va="bottom", weight="bold")
    top = layout.head
    for row, height in zip(grid.rows, layout.row_heights, strict=True):
        _draw_row(canvas, layout, row, top)
        top += height
    return figure


def _headings(grid: Grid) -> list[str]:
    return ["original", *(column.name for column in grid.columns)]


def _draw_row(canvas: _Canvas, layout: _Layout, row: GridRow, top: int) -> None:
    height = layout.enlarged(row.window.height, row)
    n_characters = max(8, int(height / layout.pixels(_CHARACTER_IN)))
    name = textwrap.fill(_middle(row.image_id, 2 * n_characters - 2), n_characters)
    text = f"{name}\n{row.rate_bpp:g} bpp"
    canvas.text(layout.pixels(_SIDE_IN / 2), top + height // 2, text, va="center", rotation=90, size=_SMALL)
    if row.thumbnail is not None:
        canvas.picture(layout.side, top, row.thumbnail, 1)
    for place, tile in enumerate([row.original, *row.tiles]):
        _draw_tile(canvas, layout, row, tile, layout.left(place), top)


def _draw_tile(canvas: _Canvas, layout: _Layout, row: GridRow, tile: Tile, left: int, top: int) -> None:
    height, centre = layout.enlarged(row.window.height, row), left + layout.tile // 2
    if tile.image_uint8 is None:
        n_characters = int(layout.tile * _SIZE / _SMALL / layout.pixels(_CHARACTER_IN))
        n_lines = max(1, int(height * _SIZE / _SMALL / layout.pixels(_LINE_IN)))
        reason = tile.absent.replace(", ", ",").replace(",", ", ")  # a line may end after a comma
        text = "\n".join(textwrap.wrap(reason, n_characters, max_lines=n_lines, placeholder=" ..."))
        canvas.text(centre, top + height // 2, text, va="center", size=_SMALL, color="#555555")
        return
    scale = layout.scale(row)
    canvas.picture(centre - tile.image_uint8.shape[1] * scale // 2, top, tile.image_uint8, scale)
    lines_text = "\n".join(layout.wrapped(line) for line in tile.lines)
    canvas.text(centre, top + height + layout.pixels(0.03), lines_text, va="top")


def _middle(text: str, longest: int) -> str:
    """A text without its middle if it is long: the ends of names of files tell images apart.

    >>> _middle("photographs/kodim01.png", 14)
    'photo...01.png'
    """
    if len(text) <= longest:
        return text
    end = (longest - 3 + 1) // 2
    return f"{text[: longest - 3 - end]}...{text[-end:]}"


@dataclass(frozen=True)
class _Layout:
    """Places in pixels of the file."""

    tile: int
    """Width of a tile."""
    dpi: int
    gap: int
    side: int
    thumbnails: int
    """Width of the column of whole images; 0 without one."""
    n_columns: int
    head: int = 0
    """Height of the headings."""
    row_heights: tuple[int, ...] = ()

    @classmethod
    def of(cls, grid: Grid) -> _Layout:
        n_columns = 1 + len(grid.columns)
        longest = max(max(row.window.width, row.window.height) for row in grid.rows)
        thumbnails = max((row.thumbnail.shape[1] for row in grid.rows if row.thumbnail is not None), default=0)
        n_parts = n_columns + (1 if thumbnails else 0)
        tile_in = float(np.clip((PAGE_IN - _SIDE_IN) / n_parts - _GAP_IN, *_TILE_IN))
        tile = longest * max(1, math.ceil(_TILE_PIXELS / longest))
        dpi = round(tile / tile_in)
        gap = round(_GAP_IN * dpi)
        without_rows = cls(
            tile=tile,
            dpi=dpi,
            gap=gap,
            side=round(_SIDE_IN * dpi),
            thumbnails=thumbnails + gap if thumbnails else 0,
            n_columns=n_columns,
        )
        n_lines = max(without_rows.wrapped(name).count("\n") + 1 for name in _headings(grid))
        return replace(
            without_rows,
            head=without_rows.pixels(n_lines * _LINE_IN + _MARGIN_IN),
            row_heights=tuple(map(without_rows.row_height, grid.rows)),
        )

    @property
    def width(self) -> int:
        """Width of the file."""
        return self.left(self.n_columns - 1) + self.tile + self.pixels(_MARGIN_IN)

    @property
    def height(self) -> int:
        """Height of the file."""
        return self.head + sum(self.row_heights)

    def left(self, place: int) -> int:
        """Left edge of a column; 0 is the original."""
        return self.side + self.thumbnails + place * (self.tile + self.gap)

    def pixels(self, inches: float) -> int:
        """A length in pixels."""
        return round(inches * self.dpi)

    def scale(self, row: GridRow) -> int:
        """How many pixels of the file are a side of a picture's pixel."""
        return max(1, self.tile // max(row.window.width, row.window.height))

    def enlarged(self, length: int, row: GridRow) -> int:
        """A length of a picture in pixels of the file."""
        return length * self.scale(row)

    def wrapped(self, text: str) -> str:
        """A text in lines that fit a tile."""
        return textwrap.fill(text, max(4, int((self.tile + self.gap) / self.dpi / _CHARACTER_IN)))

    def row_height(self, row: GridRow) -> int:
        """Height of a row: its pictures and the lines under them."""
        tiles = [row.original, *row.tiles]
        n_lines = max(sum(self.wrapped(line).count("\n") + 1 for line in tile.lines) for tile in tiles)
        pictures = max(self.enlarged(row.window.height, row), 0 if row.thumbnail is None else row.thumbnail.shape[0])
        return pictures + self.pixels(n_lines * _LINE_IN + 0.1)


@dataclass(frozen=True)
class _Canvas:
    """A figure with positions in pixels from its upper left corner."""

    figure: Figure
    width: int
    height: int

    def text(self, x: int, y: int, text: str, **style: Any) -> None:
        """Text, centred at x."""
        style = {"ha": "center", "size": _SIZE, "linespacing": 1.12, **style}
        self.figure.text(x / self.width, 1 - y / self.height, text, **style)

    def picture(self, left: int, top: int, image_uint8: np.ndarray, scale: int) -> None:
        """A picture, each of its pixels a square of ``scale`` pixels."""
        shown = image_uint8.repeat(scale, axis=0).repeat(scale, axis=1)
        height, width = shown.shape[:2]
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        axes.imshow(shown, interpolation="none", aspect="auto")
