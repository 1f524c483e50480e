"""The pictures of a run: those that it kept, or decoded from its streams; checked against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.bench.file_identity import DAMAGED
from uqdm.bench.run.decoding import DecodeFault, PictureName, StreamDecoder, decode_fault
from uqdm.bench.run.errors import ResultsError, StreamsNotKeptError
from uqdm.bench.run.found_settings import FOUND_COLUMNS, found_setting
from uqdm.bench.run.json_files import read_manifest
from uqdm.bench.run.kept_pictures import png_picture
from uqdm.bench.run.originals import Originals
from uqdm.bench.run.picture_cache import PictureCache
from uqdm.bench.run.rates import image_rates
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.shard_files import ShardFiles, shards_of
from uqdm.bench.run.stored_streams import StreamDamagedError
from uqdm.bench.run.tables import records
from uqdm.bench.schema import STATUS_OK
from uqdm.codec import CodecUnavailableError, UnknownCodecError

if TYPE_CHECKING:
    import pandas as pd

_Pictures = Mapping[PictureName, np.ndarray | DecodeFault]

COLUMNS = [
    "dataset",
    "codec",
    "codec_version",
    "setting",
    *FOUND_COLUMNS,
    "point",
    "point_index",
    "reconstruction",
    "image_index",
    "image_id",
    "height",
    "width",
    "rate_kind",
    "file_bits",
    "bpp",
    "ideal_bits",
    "mse",
    "psnr_db",
    "original_sha256",
    "original_changes",
    "picture_sha256",
    "stream_sha256",
    "status",
]
"""The columns of the rows that are always read."""


class RunPictures:
    """Pictures of one data set of a run when they are asked for; each stream is decoded once, as memory allows."""

    def __init__(self, run_dir: Path, dataset: str, more_columns: Sequence[str] = ()) -> None:
        rows = read_rows(run_dir, list(dict.fromkeys([*COLUMNS, *more_columns])))
        rows = rows[(rows.status == STATUS_OK) & (rows.dataset == dataset)]
        # Rows of skipped codecs have no image, so the column was of floating-point numbers.
        self.rows: pd.DataFrame = rows.assign(rate_bpp=image_rates(rows), image_index=rows.image_index.astype(int))
        """The rows of the data set's pictures: ``COLUMNS``, those that were asked for, and the rate, ideal or not."""
        self._run_dir = run_dir
        self._decoders: dict[tuple[str, str], StreamDecoder] = {}
        self._decoded = PictureCache[tuple[str, str, int], PictureName, DecodeFault]()
        self._originals = PictureCache[int, str, None]()
        self._source: Originals | None = None

    def picture(self, row: Mapping[str, Any]) -> np.ndarray:
        """The picture of a row, uint8 [H, W, 3].

        Raises :class:`~uqdm.bench.run.errors.StreamsNotKeptError` if its stream was not kept,
        :class:`~uqdm.codec.CodecUnavailableError` if it cannot be decoded here, and
        :class:`~uqdm.bench.run.errors.ResultsError` if it is not the picture that was measured
        (:class:`~uqdm.bench.run.decoding.StreamDecoder`).
        """
        found = self._pictures(row)[row["point"], row["reconstruction"]]
        if isinstance(found, DecodeFault):
            raise _error(row, found) from found.error
        return found

    def original(self, image_index: int, prefer: tuple[str, str] = ("", "")) -> np.ndarray | None:
        """The original image, checked by its hash in the rows.

        It comes from the data set, opened again, or from the originals that the run keeps, or it is a picture that was
        measured to be exact, of the preferred codec and setting or another. None where none of these has it.
        """
        return self._originals.get(image_index, lambda: {"original": self._original(image_index, prefer)})["original"]

    @property
    def original_faults(self) -> list[str]:
        """Why the data set did not give originals that were asked for so far, each reason once."""
        return [] if self._source is None else list(self._source.faults)

    def _original(self, image_index: int, prefer: tuple[str, str]) -> np.ndarray | None:
        rows = self.rows[self.rows.image_index == image_index]
        if rows.empty:
            return None
        if self._source is None:
            self._source = Originals(self._run_dir, read_manifest(self._run_dir, rows.codec.iloc[0])["dataset"])
        measured = set(rows.original_sha256.dropna())
        found = self._source.find(image_index, str(rows.image_id.iloc[0]), measured)
        if found is not None:
            return found
        exact = sorted(records(rows[rows.mse == 0]), key=lambda row: (row["codec"], row["setting"]) != prefer)
        return next(filter(lambda image: image is not None, map(self._try, exact)), None)

    def _try(self, row: Mapping[str, Any]) -> np.ndarray | None:
        try:
            return self.picture(row)
        except (CodecUnavailableError, ResultsError):  # not installed here, or not kept: another codec may have it
            return None

    def _pictures(self, row: Mapping[str, Any]) -> _Pictures:
        """Every picture of a row's stream."""
        key = (row["codec"], row["setting"], row["image_index"])
        return self._decoded.get(key, lambda: self._kept(key) or self._decode(row))

    def _decode(self, row: Mapping[str, Any]) -> _Pictures:
        codec, setting, index = key = (row["codec"], row["setting"], row["image_index"])
        decoder = self._decoder(codec, setting)
        sha256 = row["stream_sha256"]
        measured = {index: sha256 if isinstance(sha256, str) else None}
        stream = read_streams(self._run_dir, codec, setting, measured)[index]
        return dict(decoder.pictures(stream, self._measured_sha256(key), found_setting(self._rows_of(key))))

    def _kept(self, key: tuple[str, str, int]) -> dict[PictureName, np.ndarray | DecodeFault]:
        """The pictures of a stream as the run keeps them; empty unless all are there and are those of the rows."""
        codec, setting, index = key
        measured = self._measured_sha256(key)
        found: dict[PictureName, np.ndarray | DecodeFault] = {}
        try:
            for shard in shards_of(self._run_dir, read_manifest(self._run_dir, codec), setting):
                if shard.facts.start <= index < shard.facts.stop:
                    for kept in shard.kept_pictures(index):
                        if measured.get((kept["point"], kept["reconstruction"])) == kept["picture_sha256"]:
                            found[kept["point"], kept["reconstruction"]] = png_picture(kept)
        except DAMAGED:
            return {}
        return found if found.keys() == measured.keys() else {}

    def _measured_sha256(self, key: tuple[str, str, int]) -> dict[PictureName, str]:
        """The hashes of all pictures of a stream, by their names."""
        return {(row["point"], row["reconstruction"]): row["picture_sha256"] for row in self._rows_of(key)}

    def _rows_of(self, key: tuple[str, str, int]) -> list[dict[str, Any]]:
        """The rows of one image at one setting of a codec."""
        codec, setting, index = key
        rows = self.rows[self.rows.image_index == index]
        return records(rows[(rows.codec == codec) & (rows.setting == setting)])

    def _decoder(self, name: str, setting: str) -> StreamDecoder:
        if (name, setting) not in self._decoders:
            manifest = read_manifest(self._run_dir, name)
            try:
                decoder = StreamDecoder.of_setting(manifest, setting)
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


def read_streams(
    run_dir: Path, codec: str, setting: str, measured_sha256: Mapping[int, str | None]
) -> dict[int, bytes]:
    """The coded files of some images by their index, each the one that was measured.

    ``measured_sha256`` are the files' hashes in the rows, by index of the image; None where rows of an older release
    have none. Raises :class:`~uqdm.bench.run.errors.StreamsNotKeptError` if one was not kept, and
    :class:`~uqdm.bench.run.errors.ResultsError` if one is damaged.
    """
    streams: dict[int, bytes] = {}
    for shard in shards_of(run_dir, read_manifest(run_dir, codec), setting):
        start, stop = shard.facts.start, shard.facts.stop
        of_shard = {index: sha256 for index, sha256 in measured_sha256.items() if start <= index < stop}
        if of_shard:
            streams |= _shard_streams(shard, of_shard)
    absent = [index for index in measured_sha256 if index not in streams]
    if absent:
        raise StreamsNotKeptError(
            f"the streams of {codec} at {setting!r} were not kept for images {absent}; evaluate again and keep them"
        )
    return {index: streams[index] for index in measured_sha256}


def _shard_streams(files: ShardFiles, measured_sha256: Mapping[int, str | None]) -> dict[int, bytes]:
    streams: dict[int, bytes] = {}
    try:
        found = files.streams(measured_sha256)
        for index, stored in found.items():
            if isinstance(stored, StreamDamagedError):
                raise stored
            streams[index] = stored.stream
    except FileNotFoundError:
        return {}
    except DAMAGED as error:
        codec = files.facts.codec
        raise ResultsError(f"{codec} at {files.facts.setting!r}: {error}; evaluate {codec} again") from error
    return streams


OpenRun = Callable[[str], RunPictures]
"""Gives the pictures of a data set by its name, the same object each time."""
