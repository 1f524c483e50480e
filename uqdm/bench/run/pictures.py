"""The pictures of a run: decoded from the streams that it kept, and held against what was measured on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from uqdm.bench.run.decoding import DecodeFault, PictureName, StreamDecoder, decode_fault
from uqdm.bench.run.rates import image_rates, is_ideal
from uqdm.bench.run.reader import ResultsError, read_manifest, read_rows, read_streams, records
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import CodecUnavailableError, UnknownCodecError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
_Pictures = Mapping[PictureName, np.ndarray | DecodeFault]

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
        self._decoders: dict[tuple[str, str], StreamDecoder] = {}
        self._decoded: dict[tuple[str, str, int], _Pictures] = {}
        self._originals: dict[int, np.ndarray | None] = {}

    def picture(self, row: Mapping[str, Any]) -> np.ndarray:
        """The picture of a row, uint8 [H, W, 3].

        Raises :class:`~uqdm.bench.run.reader.StreamsNotKeptError` if its stream was not kept,
        :class:`~uqdm.codec.CodecUnavailableError` if it cannot be decoded here, and
        :class:`~uqdm.bench.run.reader.ResultsError` if it is not the picture that was measured
        (:class:`~uqdm.bench.run.decoding.StreamDecoder`).
        """
        found = self._pictures(row)[row["point"], row["reconstruction"]]
        if isinstance(found, DecodeFault):
            raise _error(row, found) from found.error
        return found

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

    def _pictures(self, row: Mapping[str, Any]) -> _Pictures:
        """Every picture of a row's stream."""
        codec, setting, index = key = (row["codec"], row["setting"], row["image_index"])
        if key not in self._decoded:
            decoder = self._decoder(codec, setting)
            sha256 = row["stream_sha256"]
            measured = {index: sha256 if isinstance(sha256, str) else None}
            stream = read_streams(self._run_dir, codec, setting, measured)[index]
            self._decoded[key] = dict(decoder.pictures(stream, self._measured_sha256(key)))
        return self._decoded[key]

    def _measured_sha256(self, key: tuple[str, str, int]) -> dict[PictureName, str]:
        """The hashes of all pictures of a stream, by their names."""
        codec, setting, index = key
        rows = self.rows[self.rows.image_index == index]
        rows = rows[(rows.codec == codec) & (rows.setting == setting)]
        return {(row["point"], row["reconstruction"]): row["picture_sha256"] for row in records(rows)}

    def _decoder(self, name: str, setting: str) -> StreamDecoder:
        if (name, setting) not in self._decoders:
            listed = read_manifest(self._run_dir, name)["settings"]
            (found,) = (one for one in listed if one["setting"] == setting)
            try:
                decoder = StreamDecoder.make(name, found["parameters"], found["codec_version"])
            except (CodecUnavailableError, UnknownCodecError):
                raise
            except Exception as error:
                raise CodecUnavailableError(f"{name}: {decode_fault(error).reason}") from error
            self._decoders[name, setting] = decoder
        return self._decoders[name, setting]


def _error(row: Mapping[str, Any], fault: DecodeFault) -> CodecUnavailableError | ResultsError:
    """The error of a picture that cannot be shown."""
    codec = row["codec"]
    if not fault.is_other:
        return CodecUnavailableError(f"{codec}: {fault.reason}")
    return ResultsError(
        f"{codec}: the stored stream of {row['image_id']} {fault.reason}; evaluate {codec} again, and draw on the "
        "machine that evaluated"
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
