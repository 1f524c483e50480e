"""Data of the viewer: whole pictures of a few images by every codec, to be compared two at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.curves import short_settings
from uqdm.bench.analysis.equal_rate import TOLERANCE
from uqdm.bench.analysis.picture_choice import place_of, progressive_settings, spread, varied_images
from uqdm.bench.report.extremes import middle_row
from uqdm.bench.report.pictures import PicturePool, centre, thumbnail
from uqdm.bench.report.viewer_pictures import MOST_SIDE, ViewerPictures
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import OpenRun, RunPictures
from uqdm.bench.run.rates import NO_FILE
from uqdm.bench.run.tables import records
from uqdm.bench.schema import RATE_IDEAL, STATUS_OK
from uqdm.codec import CodecUnavailableError

if TYPE_CHECKING:
    import pandas as pd

MOST_IMAGES = 12
MOST_PIXELS = 2**27
"""134 million pixels in all: about 80 MB of files."""
_WANTED_IMAGES = 3  # settings are left out before fewer images than these are shown
_PER_CODEC = (24, 16, 12, 8, 6, 4, 3)  # numbers of pictures of a codec that are tried, most first

NO_PICTURES = "No pictures to compare: no codec of this run coded an image."


@dataclass(frozen=True)
class Extent:
    """How much is shown: images, pictures of each codec, and the longest side in pixels."""

    images: int
    per_codec: int
    side: int


def viewer_data(
    open_run: OpenRun, summary: pd.DataFrame, pictures: ViewerPictures, thumbnails: PicturePool
) -> dict[str, Any]:
    """Images with their originals and the pictures of each codec, lowest rate first; or ``{"absent": why}``."""
    found = [_Viewed(open_run(str(name)), summary, pictures, thumbnails) for name in summary.dataset.unique()]
    images = [image for viewed in found for image in viewed.images()]
    if not images:
        return {"absent": NO_PICTURES}
    codecs = list(dict.fromkeys(codec for image in images for codec in image["codecs"]))
    unreadable = {codec: reason for viewed in found for codec, reason in viewed.unreadable.items()}
    if not codecs:
        reasons = "; ".join(dict.fromkeys(unreadable.values()))
        return {"absent": f"No pictures to compare: {reasons}."}
    return {"images": images, "codecs": codecs, "unreadable": unreadable, "tolerance": TOLERANCE}


class _Viewed:
    """Collects the pictures of one data set."""

    def __init__(
        self, run: RunPictures, summary: pd.DataFrame, pictures: ViewerPictures, thumbnails: PicturePool
    ) -> None:
        self._run, self._pictures, self._thumbnails = run, pictures, thumbnails
        self._summary = summary
        self._shorts = {
            str(codec): short_settings(rows.setting.unique()) for codec, rows in run.rows.groupby("codec", sort=True)
        }
        self.unreadable: dict[str, str] = {}
        """Codecs whose pictures are not there, and why."""

    def images(self) -> Iterator[dict[str, Any]]:
        """The images that are shown, from low to high rate."""
        rows = self._run.rows
        if rows.empty:
            return
        one = rows[rows.image_index == rows.image_index.iloc[0]]
        pixels = int(rows.height.median()) * int(rows.width.median())
        extent = extent_of(pixels, one.groupby("codec").size().to_dict(), rows.image_index.nunique())
        for index in self._chosen(extent.images):
            yield self._image(index, extent)

    def _chosen(self, count: int) -> list[int]:
        """Images from low to high rate; where not all are shown, the best and the worst are among them."""
        main = self._main()
        rates = main.groupby("image_index")["rate_bpp"].max()
        wanted = [*(self._ends(main.codec.iloc[0]) if count < len(rates) else ()), *varied_images(main, count)]
        chosen = list(dict.fromkeys(index for index in wanted if index in rates.index))[:count]
        return sorted(chosen, key=lambda index: (rates[index], index))

    def _ends(self, codec: str) -> list[int]:
        """The images with the lowest and the highest PSNR of a codec, at the middle one of its points."""
        rows = self._run.rows[self._run.rows.codec == codec]
        ok = self._summary[(self._summary.status == STATUS_OK) & (self._summary.dataset == rows.dataset.iloc[0])]
        middle = middle_row(ok, codec)
        if middle is None:
            return []
        for name in ("setting", "point", "reconstruction"):
            rows = rows[rows[name] == middle[name]]
        ordered = rows.sort_values(["psnr_db", "image_index"], kind="stable").image_index
        return [] if ordered.empty else [int(ordered.iloc[0]), int(ordered.iloc[-1])]

    def _main(self) -> pd.DataFrame:
        """The rows by which images are chosen: those of one codec at one setting, a progressive one if there is one."""
        rows = self._run.rows
        dataset = rows.dataset.iloc[0]
        chosen = [(codec, setting) for name, codec, setting in progressive_settings(self._summary) if name == dataset]
        codec, setting = chosen[0] if chosen else (rows.codec.iloc[0], rows.setting.iloc[0])
        return rows[(rows.codec == codec) & (rows.setting == setting)]

    def _image(self, index: int, extent: Extent) -> dict[str, Any]:
        rows = self._run.rows[self._run.rows.image_index == index]
        original = self._run.original(index)
        codecs = {str(codec): self._codec(str(codec), found, extent) for codec, found in rows.groupby("codec")}
        height, width = int(rows.height.iloc[0]), int(rows.width.iloc[0])
        return {
            "id": str(rows.image_id.iloc[0]),
            "dataset": str(rows.dataset.iloc[0]),
            "height": min(height, extent.side),
            "width": min(width, extent.side),
            "cut": [height, width] if max(height, width) > extent.side else None,
            "changes": _text(rows.original_changes.iloc[0]),
            "original": None if original is None else self._pictures.add(centre(original, extent.side)),
            "thumbnail": None if original is None else self._thumbnails.add(thumbnail(original)),
            "codecs": {codec: entries for codec, entries in codecs.items() if entries},
        }

    def _codec(self, codec: str, rows: pd.DataFrame, extent: Extent) -> list[dict[str, Any]]:
        """The pictures of one codec; none, and a reason, if it cannot be decoded here."""
        ordered = records(rows.sort_values(["rate_bpp", "psnr_db"], kind="stable"))
        try:
            return [self._entry(row, extent) for row in spread(ordered, extent.per_codec)]
        except (CodecUnavailableError, StreamsNotKeptError) as error:
            self.unreadable[codec] = str(error)
            return []

    def _entry(self, row: Mapping[str, Any], extent: Extent) -> dict[str, Any]:
        psnr_db = row["psnr_db"]
        return {
            "where": place_of(row, self._shorts[row["codec"]][row["setting"]]),
            "bpp": float(row["rate_bpp"]),
            "ideal": NO_FILE if row["rate_kind"] == RATE_IDEAL else "",
            "psnr_db": float(psnr_db) if math.isfinite(psnr_db) else None,
            "exact": bool(row["mse"] == 0),
            "picture": self._pictures.add(centre(self._run.picture(row), extent.side)),
        }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def extent_of(pixels: int, per_codec: Mapping[str, int], n_images: int, most_pixels: int = MOST_PIXELS) -> Extent:
    """How much is shown of images of a number of pixels, within a number of pixels in all.

    ``per_codec`` has the number of pictures that each codec has of an image. Settings are left out before images, and
    pictures are cut to their centre only if three of each codec are too many for one image.

    >>> extent_of(64 * 64, {"jpeg": 12, "uqdm": 14}, n_images=100)
    Extent(images=12, per_codec=24, side=16383)
    >>> extent_of(768 * 512, {"jpeg": 12, "uqdm": 14, "webp": 12, "bpg": 24, "avif": 12}, n_images=24)
    Extent(images=4, per_codec=24, side=16383)
    >>> extent_of(6000 * 4000, {"jpeg": 12, "uqdm": 14, "webp": 12}, n_images=3)
    Extent(images=1, per_codec=3, side=3663)
    """
    wanted = min(_WANTED_IMAGES, n_images)
    for per in _PER_CODEC:
        shown = 1 + sum(min(per, count) for count in per_codec.values())
        images = most_pixels // (pixels * shown)
        if images >= wanted:
            return Extent(min(images, n_images, MOST_IMAGES), per, MOST_SIDE)
    if images:
        return Extent(images, per, MOST_SIDE)
    return Extent(1, per, math.isqrt(most_pixels // shown))
