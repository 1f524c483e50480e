"""The content of a grid: pictures of codecs beside the original at equal rates, cut to one window, with their numbers.

Each tile is the measured picture whose rate is nearest to the one that is asked for, by the rule of
:mod:`uqdm.bench.analysis.equal_rate`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.curves import short_settings
from uqdm.bench.analysis.equal_rate import is_equal_rate, nearest, too_far
from uqdm.bench.analysis.picture_choice import place_of
from uqdm.bench.grid.choice import (
    N_IMAGES,
    Column,
    all_columns,
    chosen_images,
    chosen_metrics,
    chosen_rates,
    named_columns,
)
from uqdm.bench.grid.crop import framed, window_of
from uqdm.bench.grid.options import GridOptions
from uqdm.bench.grid.window import Window, parse_crop
from uqdm.bench.metrics import Metric, all_metrics
from uqdm.bench.plots import NothingToDrawError
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.rates import NO_FILE
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import RATE_IDEAL
from uqdm.codec import CodecUnavailableError

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL_SIDE = 192
"""Longest side, pixels, of the whole image that shows where a window is."""

FAILED = "No picture: coding this image failed, or was not done."


@dataclass(frozen=True)
class Tile:
    """A picture inside the window, with the numbers of the whole picture, or ``absent``: why there is none."""

    image_uint8: np.ndarray | None = None
    lines: tuple[str, ...] = ()
    """Rate and metrics as text."""
    place: str = ""
    """Setting and point of the picture."""
    absent: str = ""


@dataclass(frozen=True)
class GridRow:
    """One image at one rate: the original, and a tile for each column."""

    image_id: str
    rate_bpp: float
    window: Window
    original: Tile
    thumbnail: np.ndarray | None
    """The whole original made smaller, with a frame around the window; None where the window is all of it."""
    tiles: list[Tile]


@dataclass(frozen=True)
class GridColumn:
    """The heading of a column, and the codec of its pictures."""

    name: str
    codec: str


@dataclass(frozen=True)
class Grid:
    """Rows of tiles under the names of the columns, and what readers should know of them."""

    dataset: str
    columns: list[GridColumn]
    rows: list[GridRow]
    caption: str
    notes: list[str] = field(default_factory=list)


def read_grid(run_dir: Path, options: GridOptions) -> Grid:
    """The grid of a summarized run.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` without a summary, ValueError for options that do not fit the
    run, and :class:`~uqdm.bench.plots.NothingToDrawError` where no column has a picture near the rates.
    """
    summary = read_summary(run_dir)
    run = RunPictures(run_dir, str(summary.dataset.iloc[0]), metric_columns())
    return make_grid(run, summary, options)


def metric_columns() -> list[str]:
    """The columns of metrics that the rows of a grid need."""
    return [metric.name for metric in all_metrics()]


def make_grid(run: RunPictures, summary: pd.DataFrame, options: GridOptions, n_images: int = N_IMAGES) -> Grid:
    """The grid of one data set of a run, opened with :func:`metric_columns`; ``n_images`` where none are named."""
    if run.rows.empty:
        raise NothingToDrawError("no codec of this run coded an image")
    summary = summary[summary.dataset == run.rows.dataset.iloc[0]]
    metrics = chosen_metrics(run.rows, options.metrics)
    images = chosen_images(run.rows, options.images, n_images)
    rows = run.rows[run.rows.image_index.isin(images)]
    columns = all_columns(rows, summary) if options.codecs is None else named_columns(rows, summary, options.codecs)
    maker = _Maker(run, columns, metrics, options)
    found = [row for index in images for row in maker.rows(index)]
    if not found:
        raise NothingToDrawError("every picture of these images is exact: they differ at no rate")
    keep = [any(not row.tiles[place].absent for row in found) for place in range(len(columns))]
    if not any(keep):
        reasons = dict.fromkeys(tile.absent for row in found for tile in row.tiles)
        advice = "other rates or a greater tolerance may have some"
        raise NothingToDrawError(f"no codec has a picture to show ({advice}): {next(iter(reasons))}")
    notes = []
    if options.codecs is None:
        notes = [
            f"{column.name} is left out. {found[0].image_id}: {found[0].tiles[place].absent}"
            for place, column in enumerate(columns)
            if not keep[place]
        ]
    else:
        keep = [True] * len(columns)
    kept_rows = [_with(row, keep) for row in found]
    names = [GridColumn(column.name, column.codec) for column, kept in zip(columns, keep, strict=True) if kept]
    return Grid(str(summary.dataset.iloc[0]), names, kept_rows, _caption(summary, kept_rows, options), notes)


class _Maker:
    """Makes the rows of single images."""

    def __init__(
        self, run: RunPictures, columns: Sequence[Column], metrics: Sequence[Metric], options: GridOptions
    ) -> None:
        self._run, self._columns, self._metrics = run, columns, metrics
        self._tolerance, self._crop, self._rates = options.tolerance, parse_crop(options.crop), options.bpp
        codecs = dict.fromkeys(codec for column in columns for codec in column.rows.codec)
        self._shorts = {codec: short_settings(run.rows.setting[run.rows.codec == codec].unique()) for codec in codecs}

    def rows(self, index: int) -> Iterator[GridRow]:
        """A row for each rate; all have one window."""
        rates = self._rates or chosen_rates(self._columns, index, self._tolerance)
        image_id = str(self._run.rows.image_id[self._run.rows.image_index == index].iloc[0])
        original = self._run.original(index)
        found = [[self._tile(column, index, rate) for column in self._columns] for rate in rates]
        pictures = [tile.image_uint8 for tiles in found for tile in tiles if tile.image_uint8 is not None]
        shown = [*([] if original is None else [original]), *pictures]
        window = window_of(self._crop, shown, image_id) if shown else Window(0, 0, 1, 1)
        is_part = original is not None and (window.height, window.width) != original.shape[:2]
        for rate, tiles in zip(rates, found, strict=True):
            yield GridRow(
                image_id,
                rate,
                window,
                _original_tile(original, window),
                framed(original, window, THUMBNAIL_SIDE) if original is not None and is_part else None,
                [_cut(tile, window) for tile in tiles],
            )

    def _tile(self, column: Column, index: int, rate_bpp: float) -> Tile:
        """The whole picture of a column that is nearest to a rate, or why there is none."""
        rows = column.rows[(column.rows.image_index == index) & (column.rows.rate_bpp > 0)]
        if rows.empty:
            return Tile(absent=FAILED)
        row = nearest(rows, rate_bpp)
        place = place_of(row, self._shorts[row["codec"]][row["setting"]])
        if not is_equal_rate(rate_bpp, row["rate_bpp"], self._tolerance):
            return Tile(absent=too_far(rate_bpp, row["rate_bpp"], place, self._tolerance))
        try:
            picture = self._run.picture(row)
        except (CodecUnavailableError, StreamsNotKeptError) as error:
            return Tile(absent=f"No picture: {error}.")
        return Tile(picture, (_rate(row), *(metric_text(metric, row) for metric in self._metrics)), place)


def _original_tile(original: np.ndarray | None, window: Window) -> Tile:
    if original is None:
        return Tile(absent="The data set no longer gives this original, and the run does not keep it.")
    return Tile(window.of(original), ("24 bpp", "uncompressed"))


def _cut(tile: Tile, window: Window) -> Tile:
    if tile.image_uint8 is None:
        return tile
    return Tile(window.of(tile.image_uint8), tile.lines, tile.place)


def _rate(row: Mapping[str, Any]) -> str:
    return f"{row['rate_bpp']:.3f} bpp" + (f" {NO_FILE}" if row["rate_kind"] == RATE_IDEAL else "")


def metric_text(metric: Metric, row: Mapping[str, Any]) -> str:
    """The value of a metric in a row, as it stands under a picture.

    >>> from uqdm.bench.metrics.psnr import METRIC
    >>> metric_text(METRIC, {"psnr_db": 31.256}), metric_text(METRIC, {"psnr_db": float("inf")})
    ('PSNR 31.26 dB', 'PSNR exact')
    """
    value = row[metric.name]
    if value is None or math.isnan(value):
        return f"{metric.label} -"
    if math.isinf(value):
        return f"{metric.label} exact"
    decimals = 2 if metric.unit == "dB" else 3 if abs(value) < 10 else 1
    text = f"{value:.{decimals}f}"
    return " ".join(filter(None, [metric.label, text, metric.unit]))


def _with(row: GridRow, keep: Sequence[bool]) -> GridRow:
    """A row without the columns that are left out."""
    tiles = [tile for tile, kept in zip(row.tiles, keep, strict=True) if kept]
    return GridRow(row.image_id, row.rate_bpp, row.window, row.original, row.thumbnail, tiles)


def _caption(summary: pd.DataFrame, rows: Sequence[GridRow], options: GridOptions) -> str:
    """What the rows, columns and numbers are."""
    size = {(row.window.width, row.window.height) for row in rows if row.thumbnail is not None}
    parts = [f"{width} x {height}" for width, height in sorted(size)]
    cut = f" Shown are {' and '.join(parts)} pixels of larger images, inside the frame." if parts else ""
    return (
        f"Images of {summary.dataset.iloc[0]} (fingerprint {summary.fingerprint.iloc[0]}). Left the original, then for "
        f"each codec the measured picture nearest to the rate of the row, at most {options.tolerance_percent:g} % "
        f"away. Numbers are those of the whole picture.{cut} Pixels are enlarged without interpolation."
    )
