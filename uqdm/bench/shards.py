"""Shards: the unit of work and of what is stored. A shard is a range of images x one codec x one setting.

A shard's file name is a hash of all that went in, and never of how many workers there were: results that exist are
found again, and anything that would change a row changes the name.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.identity import (
    DAMAGED,
    KIND_RECONSTRUCTIONS,
    KIND_ROWS,
    KIND_STREAMS,
    open_parquet,
    shard_identity,
    write_stored,
)
from uqdm.bench.ids import IdRange
from uqdm.bench.reconstructions import has_reconstructions, reconstructions_path
from uqdm.bench.requests import Candidate
from uqdm.bench.schema import ROW_FORMAT, ROWS, STATUS_FAILED, STREAMS
from uqdm.bench.stored_streams import STREAM_COLUMNS, StreamDamagedError, all_whole, checked_stream
from uqdm.bench.superseded import RECONSTRUCTIONS_FOLDER, STREAMS_FOLDER, stored_path, superseded_path


class Images(Protocol):
    """What an evaluation needs of a data set (see :mod:`uqdm.bench.datasets`)."""

    @property
    def name(self) -> str:
        """Name, as in the rows."""

    @property
    def spec(self) -> str:
        """The text that opens the data set again."""

    @property
    def fingerprint(self) -> str:
        """Count and content hash."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of the images."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> np.ndarray:
        """Image ``index``, uint8 [H, W, 3]."""


@dataclass(frozen=True)
class Shard:
    """A range of images, from ``start``, that one codec at one setting is measured on.

    ``keep_streams`` says whether the coded files stay once they are scored, ``keep_reconstructions`` whether decoded
    pictures are kept too; neither changes a row.
    """

    dataset: str
    fingerprint: str
    start: int
    image_ids: Sequence[str]
    candidate: Candidate
    keep_streams: bool
    keep_reconstructions: bool = False

    @property
    def stop(self) -> int:
        """Index of the first image after the range."""
        return self.start + len(self.image_ids)

    def alone(self) -> list[Shard]:
        """The same shard cut into its single images."""
        ids = enumerate(self.image_ids, start=self.start)
        return [replace(self, start=start, image_ids=(image_id,)) for start, image_id in ids]

    @cached_property
    def key(self) -> str:
        """Hash of everything that the rows depend on: 32 hexadecimal digits of a SHA-256."""
        candidate = self.candidate
        went_in = {
            "row_format": ROW_FORMAT,
            "columns": ROWS.names,
            "dataset": [self.dataset, self.fingerprint, self.start, list(self.image_ids)],
            "codec": [candidate.name, candidate.version, candidate.setting, dict(candidate.parameters)],
        }
        return hashlib.sha256(json.dumps(went_in, sort_keys=True).encode()).hexdigest()[:32]

    def identity(self, kind: str) -> dict[str, Any]:
        """What a file of this shard says of itself (see :mod:`uqdm.bench.identity`)."""
        candidate = self.candidate
        return shard_identity(
            kind,
            row_format=ROW_FORMAT,
            key=self.key,
            dataset=self.dataset,
            fingerprint=self.fingerprint,
            start=self.start,
            stop=self.stop,
            codec=candidate.name,
            codec_version=candidate.version,
            setting=candidate.setting,
        )


@dataclass(frozen=True)
class Kept:
    """What is kept of a shard beside its rows (see :class:`Shard`)."""

    streams: bool = True
    reconstructions: bool = False


def shard_at(dataset: Images, candidate: Candidate, start: int, shard_size: int, kept: Kept) -> Shard:
    """The shard of a codec at one setting that begins at image ``start``."""
    ids = IdRange(dataset.ids, start, start + shard_size)
    return Shard(dataset.name, dataset.fingerprint, start, ids, candidate, kept.streams, kept.reconstructions)


def split(dataset: Images, candidate: Candidate, shard_size: int, kept: Kept) -> Iterator[Shard]:
    """The shards of a codec at one setting, in the order of the images."""
    for start in range(0, len(dataset), shard_size):
        yield shard_at(dataset, candidate, start, shard_size, kept)


class ShardStore:
    """The shards below a run's folder: ``shards/<codec>/<key>.parquet``, and likewise ``streams`` and, where they are
    kept, ``reconstructions``; or, of shards that the run no longer has, the same below ``superseded``.

    Each file says what it is. One that is not what its name says, or is damaged, counts as absent.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def rows_path(self, shard: Shard) -> Path:
        """Where a shard's rows are kept."""
        return self.run_dir / "shards" / shard.candidate.name / f"{shard.key}.parquet"

    def streams_path(self, shard: Shard) -> Path:
        """Where a shard's coded files are kept."""
        return stored_path(self.run_dir, STREAMS_FOLDER, shard.candidate.name, shard.key)

    def reconstructions_path(self, shard: Shard) -> Path:
        """Where a shard's pictures are kept, if they are."""
        return stored_path(self.run_dir, RECONSTRUCTIONS_FOLDER, shard.candidate.name, shard.key)

    def write(self, shard: Shard, rows: bytes, streams: bytes, reconstructions: bytes | None = None) -> None:
        """Stores a finished shard; the rows last, since they are what says that it is finished."""
        codec, key = shard.candidate.name, shard.key
        write_stored(self.run_dir / STREAMS_FOLDER / codec / f"{key}.parquet", streams)
        if reconstructions is not None:
            write_stored(reconstructions_path(self.run_dir, codec, key), reconstructions)
        write_stored(self.rows_path(shard), rows)

    def counts(self, shard: Shard) -> Counter[str] | None:
        """Images of a stored shard by status; None unless all of it is there, is this shard's, and is undamaged."""
        try:
            table = self.read(shard)
            if shard.keep_streams and not all_whole(self._stream_rows(shard), _measured_sha256(table)):
                return None
            if shard.keep_reconstructions and not self._has_reconstructions(shard):
                return None
        except DAMAGED:
            return None
        counts = count_images(table)
        return counts if counts.total() == len(shard.image_ids) else None

    def has_streams(self, shard: Shard) -> bool:
        """Whether a shard's coded files are there."""
        try:
            return bool(self._open_streams(shard).schema_arrow.equals(STREAMS))
        except DAMAGED:
            return False

    def read_streams(self, shard: Shard, image_indices: Collection[int]) -> dict[int, bytes | StreamDamagedError]:
        """The coded files of some of a stored shard's images, as far as they are there, or how each is damaged.

        Raises one of :data:`~uqdm.bench.identity.DAMAGED` where the file that holds them does not read.
        """
        rows = open_parquet(self.rows_path(shard), shard.identity(KIND_ROWS))
        measured_sha256 = _measured_sha256(rows.read(["image_index", "stream_sha256"]))
        found: dict[int, bytes | StreamDamagedError] = {}
        for row in self._stream_rows(shard, image_indices):
            index = row["image_index"]
            try:
                found[index] = checked_stream(row, measured_sha256.get(index))
            except StreamDamagedError as error:
                found[index] = error
        return found

    def drop_streams(self, shard: Shard) -> None:
        """Removes a shard's coded files."""
        codec, key = shard.candidate.name, shard.key
        (self.run_dir / STREAMS_FOLDER / codec / f"{key}.parquet").unlink(missing_ok=True)
        superseded_path(self.run_dir, STREAMS_FOLDER, codec, key).unlink(missing_ok=True)

    def read(self, shard: Shard) -> pa.Table:
        """The rows of a stored shard; raises one of :data:`~uqdm.bench.identity.DAMAGED` where they are not there."""
        table = open_parquet(self.rows_path(shard), shard.identity(KIND_ROWS)).read()
        if not table.schema.equals(ROWS):
            raise pa.ArrowInvalid(f"{self.rows_path(shard)}: not the columns of a result")
        return table

    def _open_streams(self, shard: Shard) -> pq.ParquetFile:
        return open_parquet(self.streams_path(shard), shard.identity(KIND_STREAMS))

    def _stream_rows(self, shard: Shard, image_indices: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        """Rows of the streams of a shard, one at a time: of all images, or of some."""
        file = self._open_streams(shard)
        if not file.schema_arrow.equals(STREAMS):
            raise pa.ArrowInvalid(f"{self.streams_path(shard)}: not the columns of streams")
        table = file.read(STREAM_COLUMNS)
        for place, index in enumerate(table["image_index"].to_pylist()):
            if image_indices is None or index in image_indices:
                yield {name: table[name][place].as_py() for name in STREAM_COLUMNS}

    def _has_reconstructions(self, shard: Shard) -> bool:
        return has_reconstructions(self.reconstructions_path(shard), shard.identity(KIND_RECONSTRUCTIONS))

    def read_all(self, shards: Iterable[Shard]) -> Iterator[pa.Table]:
        """The rows of stored shards, one after the other."""
        return (self.read(shard) for shard in shards)


def _measured_sha256(rows: pa.Table) -> dict[int, str]:
    """The hash of the coded file of each image that has one, by the rows of its shard."""
    pairs = zip(rows["image_index"].to_pylist(), rows["stream_sha256"].to_pylist(), strict=True)
    return {index: sha256 for index, sha256 in pairs if sha256 is not None}


def count_images(rows: pa.Table) -> Counter[str]:
    """Images by status; an image counts as failed if any of its rows is."""
    failed: set[Any] = set()
    seen: set[Any] = set()
    for index, status in zip(rows["image_index"].to_pylist(), rows["status"].to_pylist(), strict=True):
        seen.add(index)
        if status == STATUS_FAILED:
            failed.add(index)
    return Counter(ok=len(seen - failed), failed=len(failed))


def to_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file, pages with checksums."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()
