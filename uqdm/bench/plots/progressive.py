"""Strip of pictures: what one progressive stream of each of a few images decodes to, point by point."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.analysis.picture_choice import progressive_settings, spread, telling_points, varied_images
from uqdm.bench.plots import NothingToDrawError, Plot
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.run.tables import records
from uqdm.codec import CodecUnavailableError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

N_IMAGES = 5
MAX_POINTS = 8  # columns; of more points, some are left out

_PREFERRED = "uqdm"  # the strip shows the project's own codec if the run has it
_CELL = 192  # pixels of the file, height and width of a picture
_GAP, _TEXT, _HEAD, _SIDE = 10, 44, 34, 46  # pixels: between pictures, for the text below and above, left of them
_DPI = 150


@dataclass(frozen=True)
class Picture:
    """One cell of the strip; the numbers are those of the rows."""

    image_id: str
    point: str
    reconstruction: str
    bpp: float
    psnr_db: float
    image_uint8: np.ndarray


@dataclass(frozen=True)
class Strip:
    """The pictures [image][point] of one codec at one setting, and the originals where the run holds them."""

    codec: str
    setting: str
    dataset: str
    pictures: list[list[Picture]]
    originals: list[np.ndarray | None]
    names: list[str] | None = None
    """Labels to the left of the rows; None for the images' ids."""


def draw(run_dir: Path) -> Figure:
    """The strip; raises :class:`~uqdm.bench.plots.NothingToDrawError` without a stream that can be decoded."""
    try:
        strip = read_strip(run_dir)
    except (CodecUnavailableError, StreamsNotKeptError) as error:
        raise NothingToDrawError(str(error)) from error
    if strip is None:
        raise NothingToDrawError(
            "no codec of this run has streams with more than one point and an image that succeeded; add a progressive "
            f"codec, such as {_PREFERRED}, to the run"
        )
    return draw_strip(strip)


def caption(run_dir: Path) -> str:
    """Which codec, what the columns and numbers are."""
    chosen = _progressive_setting(read_summary(run_dir))
    if chosen is None:
        return ""
    dataset, codec, setting = chosen
    return (
        f"{codec}{f' ({setting})' if setting else ''} on {dataset}: each row is one stored file of one image, decoded "
        "after each of its points. Below a picture: bits per pixel of the file up to there, and PSNR of this picture. "
        "Rows go from images of low to images of high rate; pixels are enlarged without interpolation."
    )


def read_strip(run_dir: Path) -> Strip | None:
    """Decodes stored streams of a run's progressive codec; None if no codec of the run is progressive.

    Points that say nothing are left out (see :func:`~uqdm.bench.analysis.picture_choice.telling_points`). Raises
    :class:`~uqdm.bench.run.errors.ResultsError` if a picture is not the one that its row was measured on.
    """
    chosen = _progressive_setting(read_summary(run_dir))
    if chosen is None:
        return None
    dataset, name, setting = chosen
    run = RunPictures(run_dir, dataset)
    rows = run.rows[(run.rows.codec == name) & (run.rows.setting == setting)]
    rows = rows.sort_values(["point_index"], kind="stable").drop_duplicates(["image_index", "point"])
    indices = varied_images(rows, N_IMAGES)
    rows = rows[rows.point.isin(telling_points(rows[rows.image_index.isin(indices)]))]
    pictures = [
        [picture_of(run, row) for row in spread(records(rows[rows.image_index == index]), MAX_POINTS)]
        for index in indices
    ]
    return Strip(name, setting, dataset, pictures, [run.original(index, (name, setting)) for index in indices])


def _progressive_setting(summary: pd.DataFrame) -> tuple[str, str, str] | None:
    """Data set, codec and setting of the streams to show."""
    return next(iter(progressive_settings(summary, _PREFERRED)), None)


def picture_of(run: RunPictures, row: Mapping[str, Any]) -> Picture:
    """The picture of a row of the run, with its numbers."""
    named = {name: row[name] for name in ("image_id", "point", "reconstruction", "bpp", "psnr_db")}
    return Picture(**named, image_uint8=run.picture(row))


def draw_strip(strip: Strip) -> Figure:
    """The pictures of a strip in rows, each with its rate and PSNR, and the originals where there are any."""
    from matplotlib.figure import Figure

    heads = [picture.point for picture in strip.pictures[0]]
    n_columns = len(heads) + any(original is not None for original in strip.originals)
    width = _SIDE + n_columns * (_CELL + _GAP)
    height = _HEAD + len(strip.pictures) * (_CELL + _TEXT)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    canvas = _Canvas(figure, width, height)
    for column, head in enumerate([*heads, "original"][:n_columns]):
        canvas.text(_left(column) + _CELL / 2, _HEAD / 2, head, weight="bold", size=9)
    names = strip.names or [pictures[0].image_id for pictures in strip.pictures]
    for row, (pictures, original) in enumerate(zip(strip.pictures, strip.originals, strict=True)):
        top = _HEAD + row * (_CELL + _TEXT)
        name = textwrap.fill(names[row], 26, max_lines=2, placeholder="...")
        canvas.text(_SIDE / 2 - 3, top + _CELL / 2, name, rotation=90, size=6.5, linespacing=1.1)
        for column, picture in enumerate(pictures):
            canvas.picture(_left(column), top, picture.image_uint8, label_of(picture))
        if original is not None:
            canvas.picture(_left(len(pictures)), top, original, "24 bpp\nuncompressed")
    return figure


def label_of(picture: Picture) -> str:
    """The text below a picture.

    >>> label_of(Picture("a", "step 1", "denoise", 0.5, float("inf"), np.zeros((1, 1, 3), np.uint8)))
    '0.500 bpp\\nexact'
    """
    quality = "exact" if math.isinf(picture.psnr_db) else f"{picture.psnr_db:.2f} dB"
    return f"{picture.bpp:.3f} bpp\n{quality}"


def _left(column: int) -> int:
    return _SIDE + column * (_CELL + _GAP)


@dataclass(frozen=True)
class _Canvas:
    """A figure with positions in pixels from its upper left corner, so that enlarged pixels have one size."""

    figure: Figure
    width: int
    height: int

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text with its centre at (x, y)."""
        self.figure.text(x / self.width, 1 - y / self.height, text, ha="center", va="center", **style)

    def picture(self, left: int, top: int, image_uint8: np.ndarray, label: str) -> None:
        """A picture, enlarged by a whole number, or its centre if it is too large, with text below."""
        cut = [slice(max(0, (n - _CELL) // 2), max(0, (n - _CELL) // 2) + _CELL) for n in image_uint8.shape[:2]]
        shown = image_uint8[tuple(cut)]
        scale = max(1, _CELL // max(shown.shape[:2]))
        shown = shown.repeat(scale, axis=0).repeat(scale, axis=1)
        left += (_CELL - shown.shape[1]) // 2
        self.figure.figimage(shown, left, self.height - top - shown.shape[0])
        self.text(left + shown.shape[1] / 2, top + shown.shape[0] + _TEXT / 2 - 3, label, size=7.5, linespacing=1.15)


PLOT = Plot(
    "progressive",
    "Progressive decoding",
    draw,
    caption,
    shown="png",
    about=(
        "What the stored streams of a progressive codec decode to, point by point. A row is one file of one image; "
        "below each picture stand the bits per pixel of the file up to that point, and the PSNR of that picture. "
        "Pixels are enlarged without interpolation."
    ),
)
