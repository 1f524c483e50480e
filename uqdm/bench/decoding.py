"""The pictures of a run: decoded from the streams that it kept, and held against what was measured on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from uqdm.bench.metrics.mse import mse
from uqdm.bench.results import ResultsError, read_manifest, read_rows, read_streams, records
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import Codec, CodecUnavailableError, get_codec

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
_Pictures = Mapping[tuple[str, str], np.ndarray]

COLUMNS = ["dataset", "codec", "setting", "point", "point_index", "reconstruction", "image_index", "image_id"]
COLUMNS += ["height", "width", "file_bits", "bpp", "mse", "psnr_db", "status"]
"""The columns of the rows that are read."""


class RunPictures:
    """Decodes pictures of one data set of a run when they are asked for, each stream once."""

    def __init__(self, run_dir: Path, dataset: str) -> None:
        rows = read_rows(run_dir, COLUMNS)
        self.rows: pd.DataFrame = rows[(rows.status == STATUS_OK) & (rows.dataset == dataset)]
        """The rows of the data set's pictures, with the columns of ``COLUMNS``."""
        self._run_dir = run_dir
        self._codecs: dict[tuple[str, str], Codec] = {}
        self._decoded: dict[tuple[str, str, int], _Pictures] = {}
        self._originals: dict[int, np.ndarray | None] = {}

    def picture(self, row: Mapping[str, Any]) -> np.ndarray:
        """The picture of a row, uint8 [H, W, 3].

        Raises :class:`~uqdm.bench.results.StreamsNotKeptError` if its stream was not kept,
        :class:`~uqdm.codec.CodecUnavailableError` if it cannot be decoded here, and
        :class:`~uqdm.bench.results.ResultsError` if it is not the picture that the row was measured on.
        """
        original = self.original(row["image_index"], prefer=(row["codec"], row["setting"]))
        image_uint8 = self._picture(row)
        if original is not None and mse(original, image_uint8) != row["mse"]:
            raise ResultsError(
                f"{row['codec']}: the stored stream of {row['image_id']} decodes to another picture at "
                f"{row['point']!r} than was measured (MSE {mse(original, image_uint8):.6g}, row {row['mse']:.6g}); "
                f"evaluate {row['codec']} again, and draw on the machine that evaluated"
            )
        return image_uint8

    def original(self, image_index: int, prefer: tuple[str, str] = ("", "")) -> np.ndarray | None:
        """The original image: a picture that was measured to be exact, of the preferred codec and setting or another.

        None where the run holds no such picture.
        """
        if image_index not in self._originals:
            exact = self.rows[(self.rows.image_index == image_index) & (self.rows.mse == 0)]
            found = sorted(records(exact), key=lambda row: (row["codec"], row["setting"]) != prefer)
            self._originals[image_index] = next(filter(lambda image: image is not None, map(self._try, found)), None)
        return self._originals[image_index]

    def _try(self, row: Mapping[str, Any]) -> np.ndarray | None:
        try:
            return self._picture(row)
        except (CodecUnavailableError, ResultsError):  # not installed here, or not kept: another may do
            return None

    def _picture(self, row: Mapping[str, Any]) -> np.ndarray:
        key = (row["codec"], row["setting"], row["image_index"])
        if key not in self._decoded:
            codec = self._codec(*key[:2])
            stream = read_streams(self._run_dir, *key[:2], [key[2]])[key[2]]
            self._decoded[key] = {(one.point.name, one.name): one.image_uint8 for one in codec.reconstructions(stream)}
        return self._decoded[key][row["point"], row["reconstruction"]]

    def _codec(self, name: str, setting: str) -> Codec:
        if (name, setting) not in self._codecs:
            listed = read_manifest(self._run_dir, name)["settings"]
            (parameters,) = (one["parameters"] for one in listed if one["setting"] == setting)
            self._codecs[name, setting] = get_codec(name, **parameters)
        return self._codecs[name, setting]


OpenRun = Callable[[str], RunPictures]
"""Gives the pictures of a data set by its name, the same object each time."""


def varied_images(rows: pd.DataFrame, count: int) -> list[int]:
    """Indices of at most ``count`` images that lack no point, from low to high rate.

    Images sorted by rate are cut into equal parts, and the first of the data set in each part is taken.
    """
    complete = rows.groupby("image_index")["point"].nunique()
    whole = rows.groupby("image_index")["bpp"].max()[complete == complete.max()].sort_values(kind="stable")
    parts = np.array_split(whole.index.to_numpy(int), min(count, len(whole)))
    return [int(part.min()) for part in parts]


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` items, evenly spread, with the first and the last.

    >>> spread("abcdefg", 3)
    ['a', 'd', 'g']
    """
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def progressive_settings(summary: pd.DataFrame, preferred: str = "uqdm") -> list[tuple[str, str, str]]:
    """Data set, codec and setting of the streams of several points; the preferred codec's first, then by name."""
    ok = summary[summary.status == STATUS_OK]
    counts = ok.groupby(["dataset", "codec", "setting"], sort=False)["point"].nunique()
    found = [(str(dataset), str(codec), str(setting)) for dataset, codec, setting in counts.index[counts > 1]]
    return sorted(found, key=lambda key: (key[1] != preferred, key))
