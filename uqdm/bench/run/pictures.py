"""The pictures of a run: decoded from the streams that it kept, and held against what was measured on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from uqdm.bench import checked_calls as answers
from uqdm.bench.checked_calls import version_of
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.rates import image_rates, is_ideal
from uqdm.bench.run.reader import ResultsError, read_manifest, read_rows, read_streams, records
from uqdm.bench.run.stored_streams import stream_sha256
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import Codec, CodecUnavailableError, UnknownCodecError, get_codec
from uqdm.plugins import contained
from uqdm.text import error_line

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
_Pictures = Mapping[tuple[str, str], np.ndarray]

COLUMNS = [
    "dataset",
    "codec",
    "codec_version",
    "setting",
    "point",
    "point_index",
    "reconstruction",
    "image_index",
    "image_id",
]
COLUMNS += [
    "height",
    "width",
    "rate_kind",
    "file_bits",
    "bpp",
    "ideal_bits",
    "mse",
    "psnr_db",
    "picture_sha256",
    "stream_sha256",
    "status",
]
"""The columns of the rows that are read."""


class RunPictures:
    """Decodes pictures of one data set of a run when they are asked for, each stream once."""

    def __init__(self, run_dir: Path, dataset: str) -> None:
        rows = read_rows(run_dir, COLUMNS)
        rows = rows[(rows.status == STATUS_OK) & (rows.dataset == dataset)]
        self.rows: pd.DataFrame = rows.assign(rate_bpp=image_rates(rows))
        """The rows of the data set's pictures, with the columns of ``COLUMNS``, and the rate, ideal or not."""
        self._run_dir = run_dir
        self._codecs: dict[tuple[str, str], Codec] = {}
        self._decoded: dict[tuple[str, str, int], _Pictures] = {}
        self._originals: dict[int, np.ndarray | None] = {}

    def picture(self, row: Mapping[str, Any]) -> np.ndarray:
        """The picture of a row, uint8 [H, W, 3].

        Raises :class:`~uqdm.bench.run.reader.StreamsNotKeptError` if its stream was not kept,
        :class:`~uqdm.codec.CodecUnavailableError` if it cannot be decoded here, and
        :class:`~uqdm.bench.run.reader.ResultsError` if it is not the picture that was measured (:func:`check_picture`).
        """
        codec = self._codec(row["codec"], row["setting"])
        image_uint8 = self._pictures(codec, row)[row["point"], row["reconstruction"]]
        check_picture(codec, row, image_uint8)
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
            return self.picture(row)
        except (CodecUnavailableError, ResultsError):  # not installed here, or not kept: another may do
            return None

    def _pictures(self, codec: Codec, row: Mapping[str, Any]) -> _Pictures:
        """Every picture of a row's stream."""
        key = (row["codec"], row["setting"], row["image_index"])
        if key not in self._decoded:
            stream = read_streams(self._run_dir, *key[:2], [key[2]])[key[2]]
            _check_stream(row, stream)
            with _decoding(row["codec"]):
                decoded = [one for one, _ in answers.pictures(codec, stream)]
            self._decoded[key] = {(one.point.name, one.name): one.image_uint8 for one in decoded}
        return self._decoded[key]

    def _codec(self, name: str, setting: str) -> Codec:
        if (name, setting) not in self._codecs:
            listed = read_manifest(self._run_dir, name)["settings"]
            (parameters,) = (one["parameters"] for one in listed if one["setting"] == setting)
            with _decoding(name):
                self._codecs[name, setting] = get_codec(name, **parameters)
        return self._codecs[name, setting]


def _check_stream(row: Mapping[str, Any], stream: bytes) -> None:
    measured = row["stream_sha256"]
    if isinstance(measured, str) and stream_sha256(stream) != measured:
        raise ResultsError(
            f"{row['codec']}: the stored stream of {row['image_id']} is not the one that was measured (SHA-256 "
            f"{stream_sha256(stream)[:16]}, row {measured[:16]}); evaluate {row['codec']} again"
        )


@contextlib.contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Whatever a codec raises is that it cannot be decoded here."""
    try:
        with contained():
            yield
    except (CodecUnavailableError, UnknownCodecError):
        raise
    except Exception as error:
        raise CodecUnavailableError(f"{name}: cannot be decoded here: {error_line(error)}") from error


def check_picture(codec: Codec, row: Mapping[str, Any], image_uint8: np.ndarray) -> None:
    """Raises :class:`~uqdm.bench.run.reader.ResultsError` if a picture is not the one that the row's numbers are of.

    Where a codec says that a kind of picture varies by rounding between machines, another one of the same version will
    do.
    """
    varies = row["reconstruction"] in codec.varying_reconstructions and version_of(codec) == row["codec_version"]
    if picture_sha256(image_uint8) != row["picture_sha256"] and not varies:
        raise ResultsError(
            f"{row['codec']}: the stored stream of {row['image_id']} decodes to another picture at "
            f"{row['point']!r} than was measured (SHA-256 {picture_sha256(image_uint8)[:16]}, row "
            f"{row['picture_sha256'][:16]}); evaluate {row['codec']} again, and draw on the machine that evaluated"
        )


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
    """Data set, codec and setting of the files of several points; the preferred codec's first, then by name."""
    ok = summary[(summary.status == STATUS_OK) & ~is_ideal(summary)]
    counts = ok.groupby(["dataset", "codec", "setting"], sort=False)["point"].nunique()
    found = [(str(dataset), str(codec), str(setting)) for dataset, codec, setting in counts.index[counts > 1]]
    return sorted(found, key=lambda key: (key[1] != preferred, key))
