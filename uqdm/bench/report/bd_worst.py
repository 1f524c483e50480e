"""The images of highest BD-rate of each curve, with pictures by the anchor and by the curve at nearly one rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.bd_of_images import ENDS, worst_and_best
from uqdm.bench.analysis.curves import Curve, curves
from uqdm.bench.analysis.equal_rate import is_equal_rate, too_far
from uqdm.bench.analysis.image_values import PICTURE
from uqdm.bench.report.extremes import where_of
from uqdm.bench.report.pictures import PicturePool, share_out
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import OpenRun, RunPictures
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import CodecUnavailableError

if TYPE_CHECKING:
    import pandas as pd

BUDGET_PIXELS = 1_000_000
PICTURED = "psnr_db"
"""The metric whose worst images are shown."""


@dataclass(frozen=True)
class WorstImage:
    """An image with its BD-rate in percent, and the places of its pictures in the pool: original, anchor and curve.

    ``captions`` are of the pictures of anchor and curve, and ``where`` names the latter in the viewer. Where no two of
    their pictures have nearly one rate, that of the anchor is None and ``note`` says why.
    """

    image_id: str
    bd_rate_percent: float
    original: int | None
    anchor: int | None
    picture: int
    captions: tuple[str, ...]
    where: str
    note: str = ""


@dataclass(frozen=True)
class WorstImages:
    """The images of highest BD-rate of one curve, or ``absent``: why they are not shown; and the names of the best."""

    dataset: str
    title: str
    anchor: str
    keys: Mapping[str, str]
    images: list[WorstImage] = field(default_factory=list)
    best: str = ""
    absent: str = ""


def worst_images(
    open_run: OpenRun,
    summary: pd.DataFrame,
    pool: PicturePool,
    rows: list[dict[str, Any]],
    groups: Mapping[Any, pd.DataFrame],
    titles: Mapping[tuple[str, str], str],
) -> list[WorstImages]:
    """The worst images of the curves of ``rows``, rows of ``BD`` of one metric.

    ``groups`` has the rows of ``BD_OF_IMAGES`` by data set, metric, anchor and curve.
    """
    found = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        of_dataset = [row for row in rows if row["dataset"] == dataset]
        run = open_run(dataset)
        size = (int(run.rows.height.median()), int(run.rows.width.median()))
        count, side = share_out(BUDGET_PIXELS, 3 * len(of_dataset), ENDS, *size)
        drawn = {curve.label: curve for curve in curves(summary[_ok_of(summary, dataset)])}
        for row in of_dataset:
            pairs = worst_and_best(groups[dataset, row["metric"], row["anchor"], row["curve"]])
            shown = _Shown(run, pool, side, row["anchor"], drawn.get(row["anchor"]), drawn.get(row["curve"]))
            named = WorstImages(
                dataset,
                titles.get((dataset, row["curve"]), row["curve"]),
                row["anchor"],
                {name: row[name] for name in ("codec", "curve")},
                best=", ".join(f"{best['image_id']} ({best['bd_rate_percent']:+.1f} %)" for _, best in pairs if best),
            )
            found.append(shown.fill(named, [worst for worst, _ in pairs if worst][:count]))
    return found


def _ok_of(summary: pd.DataFrame, dataset: str) -> pd.Series:
    return (summary.dataset == dataset) & (summary.status == STATUS_OK)


@dataclass(frozen=True)
class _Shown:
    """Finds the pictures of images by two curves."""

    run: RunPictures
    pool: PicturePool
    side: int
    anchor_label: str
    anchor: Curve | None
    curve: Curve | None

    def fill(self, named: WorstImages, images: list[dict[str, Any]]) -> WorstImages:
        """``named`` with these images; where pictures are lacking it has the reason."""
        if self.anchor is None or self.curve is None:
            return replace(named, absent="The summary has other curves; compare again: uqdm bench bd.")
        try:
            return replace(named, images=[self._image(row) for row in images])
        except (CodecUnavailableError, StreamsNotKeptError) as error:
            return replace(named, absent=f"No pictures: {error}.")

    def _image(self, image: Mapping[str, Any]) -> WorstImage:
        index = int(image["image_index"])
        anchors, own = (self._rows(curve, index) for curve in (self.anchor, self.curve))
        first, second = nearest_pair(anchors, own)
        is_equal = is_equal_rate(first["rate_bpp"], second["rate_bpp"])
        original = self.run.original(index)
        captions = [_caption(self.anchor_label, first)] if is_equal else []
        return WorstImage(
            str(image["image_id"]),
            float(image["bd_rate_percent"]),
            None if original is None else self.pool.add(original, self.side),
            self.pool.add(self.run.picture(first), self.side) if is_equal else None,
            self.pool.add(self.run.picture(second), self.side),
            (*captions, _caption(str(self.curve.label if self.curve else ""), second)),
            where_of(self.run, second),
            "" if is_equal else too_far(second["rate_bpp"], first["rate_bpp"], self.anchor_label),
        )

    def _rows(self, curve: Curve | None, index: int) -> list[dict[str, Any]]:
        """The rows of an image that are points of a curve, in order of their rate."""
        assert curve is not None
        rows = self.run.rows[self.run.rows.image_index == index]
        points = curve.points_with_bits[PICTURE]
        return records(rows.merge(points, on=PICTURE).sort_values("rate_bpp", kind="stable"))


def nearest_pair(anchors: list[dict[str, Any]], own: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of two curves whose pictures are shown: of nearly one rate, as close as possible to the middle one.

    Where no two rates are nearly one, the two nearest.

    >>> anchors, own = ([{"rate_bpp": rate} for rate in rates] for rates in ((0.5, 1.0, 2.0), (0.9, 1.4, 2.0)))
    >>> [row["rate_bpp"] for row in nearest_pair(anchors, own)]
    [2.0, 2.0]
    """
    middle = math.log(own[len(own) // 2]["rate_bpp"])

    def order(pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple[bool, float]:
        first, second = (math.log(row["rate_bpp"]) for row in pair)
        is_equal = is_equal_rate(pair[0]["rate_bpp"], pair[1]["rate_bpp"])
        return not is_equal, abs(second - middle) if is_equal else abs(first - second)

    return min(((first, second) for first in anchors for second in own), key=order)


def _caption(label: str, row: Mapping[str, Any]) -> str:
    psnr = "exact" if math.isinf(row["psnr_db"]) else f"{row['psnr_db']:.2f} dB"
    return f"{label}: {psnr}, {row['rate_bpp']:.3f} bpp"
