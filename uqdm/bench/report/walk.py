"""Data of the slider: progressive streams of a few images, point by point, next to other codecs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uqdm.bench.analysis.curves import short_settings
from uqdm.bench.analysis.equal_rate import interpolated_db, is_equal_rate, nearest, too_far
from uqdm.bench.analysis.picture_choice import place_of, progressive_settings, varied_images
from uqdm.bench.report.pictures import PicturePool, share_out
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import OpenRun, RunPictures
from uqdm.bench.run.rates import is_ideal
from uqdm.bench.run.tables import records
from uqdm.codec import CodecUnavailableError

if TYPE_CHECKING:
    import pandas as pd

N_IMAGES = 6
N_STREAMS = 3
BUDGET_PIXELS = 1_600_000
COMPANIONS = ("jpeg", "bpg")
"""Codecs shown next to the stream at first, if the run has them; then those with most pictures at its rates."""

NO_STREAM = (
    "No file to walk through: no codec of this run has streams with more than one point. Add a progressive codec, "
    "such as uqdm, to the run."
)


def walk_data(open_run: OpenRun, summary: pd.DataFrame, pool: PicturePool) -> dict[str, Any]:
    """The streams, images, steps and companions, or ``{"absent": why}``."""
    settings = progressive_settings(summary)
    if not settings:
        return {"absent": NO_STREAM}
    dataset = settings[0][0]
    run = open_run(dataset)
    try:
        return _Walk(run, [key[1:] for key in settings if key[0] == dataset][:N_STREAMS], pool).data()
    except (CodecUnavailableError, StreamsNotKeptError) as error:
        return {"absent": f"No file to walk through: {error}"}


class _Walk:
    """Collects the pictures of one data set."""

    def __init__(self, run: RunPictures, streams: Sequence[tuple[str, str]], pool: PicturePool) -> None:
        self._run, self._streams, self._pool = run, streams, pool
        self._unreadable: dict[str, str] = {}  # companions whose pictures cannot be decoded, and why
        rows = run.rows[~is_ideal(run.rows)]
        self._rows = rows
        self._shorts = {
            str(codec): short_settings(found.setting.unique()) for codec, found in rows.groupby("codec", sort=True)
        }
        main = rows[(rows.codec == streams[0][0]) & (rows.setting == streams[0][1])]
        shown = 1 + len(streams) * (main.groupby(["point", "reconstruction"]).ngroups + 5 * len(self._shorts))
        per_image = min(shown, 1 + rows.groupby(["codec", "setting", "point", "reconstruction"]).ngroups)
        count, self._side = share_out(
            BUDGET_PIXELS, per_image, N_IMAGES, int(main.height.median()), int(main.width.median())
        )
        self._images = varied_images(main, count)

    def data(self) -> dict[str, Any]:
        images = [self._image(index) for index in self._images]
        companions = [codec for codec in self._shorts if codec not in self._unreadable]
        beside = [step["beside"] for image in images for steps in image["streams"] for step in steps]
        n_shown = Counter(codec for found in beside for codec, entry in found.items() if "picture" in entry)
        return {
            "streams": [{"codec": codec, "setting": self._shorts[codec][setting]} for codec, setting in self._streams],
            "companions": sorted(companions, key=lambda codec: (_order(codec), -n_shown[codec], codec)),
            "unreadable": self._unreadable,
            "images": images,
        }

    def _image(self, index: int) -> dict[str, Any]:
        rows = self._rows[self._rows.image_index == index]
        original = self._run.original(index, self._streams[0])
        height, width = int(rows.height.iloc[0]), int(rows.width.iloc[0])
        return {
            "id": str(rows.image_id.iloc[0]),
            "height": height,
            "width": width,
            "cut": self._side if max(height, width) > self._side else None,
            "original": None if original is None else self._pool.add(original, self._side),
            "streams": [self._steps(rows, codec, setting) for codec, setting in self._streams],
        }

    def _steps(self, rows: pd.DataFrame, codec: str, setting: str) -> list[dict[str, Any]]:
        """For each point of a stream its bytes, its pictures, and the other codecs at the same rate."""
        own = rows[(rows.codec == codec) & (rows.setting == setting)]
        others = rows[rows.codec != codec]
        return [
            {
                "point": str(pictures.point.iloc[0]),
                "bytes": int(pictures.file_bits.iloc[0]) // 8,
                "bpp": float(pictures.bpp.iloc[0]),
                "pictures": [self._entry(row) for row in _denoised_first(pictures)],
                "beside": self._beside(others, float(pictures.bpp.iloc[0])),
            }
            for _, pictures in own.groupby("point_index", sort=True)
        ]

    def _beside(self, others: pd.DataFrame, bpp: float) -> dict[str, dict[str, Any]]:
        found = {}
        for codec, rows in others.groupby("codec"):
            try:
                found[str(codec)] = self._companion(rows, bpp)
            except (CodecUnavailableError, StreamsNotKeptError) as error:
                self._unreadable[str(codec)] = str(error)
        return found

    def _companion(self, rows: pd.DataFrame, bpp: float) -> dict[str, Any]:
        """The picture of a codec at a rate; where its nearest is too far away, why, and the PSNR between its points."""
        row = nearest(rows, bpp)
        if is_equal_rate(bpp, row["bpp"]):
            return self._entry(row)
        return {
            "absent": too_far(bpp, row["bpp"], place_of(row, self._shorts[row["codec"]][row["setting"]])),
            "interpolated_db": interpolated_db(bpp, list(rows.bpp), list(rows.psnr_db)),
        }

    def _entry(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "name": row["reconstruction"],
            "setting": self._shorts[row["codec"]][row["setting"]],
            "point": row["point"],
            "bpp": float(row["bpp"]),
            "psnr_db": _finite(row["psnr_db"]),
            "exact": bool(row["mse"] == 0),
            "picture": self._pool.add(self._run.picture(row), self._side),
        }


def _denoised_first(pictures: pd.DataFrame) -> list[dict[str, Any]]:
    """The pictures of a point, the denoised one first: it has the lowest mean squared error."""
    return sorted(records(pictures), key=lambda row: (row["reconstruction"] != "denoise", row["reconstruction"]))


def _order(codec: str) -> int:
    return COMPANIONS.index(codec) if codec in COMPANIONS else len(COMPANIONS)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
