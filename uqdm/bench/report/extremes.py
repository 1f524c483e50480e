"""The images with the best and worst PSNR of each codec, at the middle one of its measured points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.curves import curves, short_settings
from uqdm.bench.analysis.picture_choice import place_of
from uqdm.bench.report.pictures import PicturePool, share_out
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import OpenRun, RunPictures
from uqdm.bench.run.rates import NO_FILE
from uqdm.bench.run.tables import records
from uqdm.bench.schema import RATE_IDEAL, STATUS_OK
from uqdm.codec import CodecUnavailableError

if TYPE_CHECKING:
    import pandas as pd

N_PICTURES = 3
"""Number of best images, and of worst ones."""
BUDGET_PIXELS = 500_000


@dataclass(frozen=True)
class ShownImage:
    """One image: its name, its figures, and the places of original and picture in the pool."""

    image_id: str
    bpp: float
    psnr_db: float
    original: int | None
    picture: int
    ideal: bool = False

    @property
    def psnr(self) -> str:
        """PSNR as text."""
        return "exact" if math.isinf(self.psnr_db) else f"{self.psnr_db:.2f} dB"

    @property
    def rate(self) -> str:
        """Rate as text."""
        return f"{self.bpp:.3f} bpp" + (f" {NO_FILE}" if self.ideal else "")


@dataclass(frozen=True)
class Extremes:
    """Best and worst images of a codec at one setting and point, or ``absent``: why there are none."""

    dataset: str
    codec: str
    where: str = ""
    best: list[ShownImage] = field(default_factory=list)
    worst: list[ShownImage] = field(default_factory=list)
    absent: str = ""


@dataclass(frozen=True)
class PictureBudget:
    """The pool of pictures, how many best and worst images are shown, and their largest side."""

    pool: PicturePool
    count: int
    side: int


def extremes(open_run: OpenRun, summary: pd.DataFrame, pool: PicturePool) -> list[Extremes]:
    """Best and worst images of each codec of a run."""
    found = []
    for dataset, rows in summary[summary.status == STATUS_OK].groupby("dataset"):
        run = open_run(str(dataset))
        codecs = list(dict.fromkeys([*(curve.codec for curve in curves(rows)), *rows.codec]))
        size = (int(run.rows.height.median()), int(run.rows.width.median()))
        count, side = share_out(BUDGET_PIXELS, 4 * len(codecs), N_PICTURES, *size)
        budget = PictureBudget(pool, count, side)
        found += [_of_codec(run, str(dataset), codec, middle_row(rows, codec), budget) for codec in codecs]
    return found


def middle_row(rows: pd.DataFrame, codec: str) -> dict[str, Any] | None:
    """The row of the summary in the middle of a codec's first curve; None if it has no curve, being always exact.

    If there are curves of several reconstructions, the denoised one is used.
    """
    found = sorted(
        (curve for curve in curves(rows) if curve.codec == codec), key=lambda curve: curve.reconstruction != "denoise"
    )
    return records(found[0].points)[len(found[0].points) // 2] if found else None


def _of_codec(
    run: RunPictures, dataset: str, codec: str, middle: dict[str, Any] | None, budget: PictureBudget
) -> Extremes:
    if middle is None:
        return Extremes(dataset, codec, absent="Every picture is exact: none is better or worse than another.")
    rows = run.rows[run.rows.codec == codec]
    for name in ("setting", "point", "reconstruction"):
        rows = rows[rows[name] == middle[name]]
    rows = rows.sort_values(["psnr_db", "image_index"], ascending=[False, True], kind="stable")
    count = min(budget.count, len(rows) // 2)
    try:
        best = [_shown(run, row, budget) for row in records(rows.head(count))]
        worst = [_shown(run, row, budget) for row in reversed(records(rows.tail(count)))]
    except (CodecUnavailableError, StreamsNotKeptError) as error:
        return Extremes(dataset, codec, absent=f"No pictures: {error}.")
    if not count:
        return Extremes(dataset, codec, absent="No best and worst among fewer than two images.")
    return Extremes(dataset, codec, where_of(run, middle), best, worst)


def where_of(run: RunPictures, row: Mapping[str, Any]) -> str:
    """The name of a picture among those of its codec, as in the viewer: short setting, point and reconstruction."""
    short = short_settings(run.rows.setting[run.rows.codec == row["codec"]].unique())[row["setting"]]
    return place_of(row, short)


def _shown(run: RunPictures, row: Mapping[str, Any], budget: PictureBudget) -> ShownImage:
    picture = run.picture(row)
    original = run.original(row["image_index"])
    return ShownImage(
        image_id=row["image_id"],
        bpp=row["rate_bpp"],
        ideal=row["rate_kind"] == RATE_IDEAL,
        psnr_db=row["psnr_db"],
        original=None if original is None else budget.pool.add(original, budget.side),
        picture=budget.pool.add(picture, budget.side),
    )
