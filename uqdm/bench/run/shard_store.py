"""The files of shards in a run's folder: rows, coded files and kept pictures, each checked to be what its name says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.file_identity import (
    DAMAGED,
    KIND_RECONSTRUCTIONS,
    KIND_ROWS,
    KIND_STREAMS,
    open_parquet,
    write_stored,
)
from uqdm.bench.run.kept_pictures import has_reconstructions
from uqdm.bench.run.layout import ShardFolder, shard_path
from uqdm.bench.run.shards import Shard, count_images
from uqdm.bench.run.stored_streams import STREAM_COLUMNS, StreamDamagedError, all_whole, checked_stream
from uqdm.bench.run.superseded import stored_path, superseded_path
from uqdm.bench.schema import ROWS, STREAMS


class ShardStore:
    """The shards below a run's folder: ``shards/<codec>/<key>.parquet``, and likewise ``streams`` and, where they are
    kept, ``reconstructions``; or, of shards that the run no longer has, the same below ``superseded``.

    Each file says what it is. One that is not what its name says, or is damaged, counts as absent.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def rows_path(self, shard: Shard) -> Path:
        """Where a shard's rows are kept."""
        return shard_path(self.run_dir, ShardFolder.ROWS, shard.codec_setting.name, shard.key)

    def streams_path(self, shard: Shard) -> Path:
        """Where a shard's coded files are kept."""
        return stored_path(self.run_dir, ShardFolder.STREAMS, shard.codec_setting.name, shard.key)

    def reconstructions_path(self, shard: Shard) -> Path:
        """Where a shard's pictures are kept, if they are."""
        return stored_path(self.run_dir, ShardFolder.RECONSTRUCTIONS, shard.codec_setting.name, shard.key)

    def write(self, shard: Shard, rows: bytes, streams: bytes, reconstructions: bytes | None = None) -> None:
        """Stores a finished shard; the rows last, since they are what says that it is finished."""
        codec, key = shard.codec_setting.name, shard.key
        write_stored(shard_path(self.run_dir, ShardFolder.STREAMS, codec, key), streams)
        if reconstructions is not None:
            write_stored(shard_path(self.run_dir, ShardFolder.RECONSTRUCTIONS, codec, key), reconstructions)
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

        Raises one of :data:`~uqdm.bench.file_identity.DAMAGED` where the file that holds them does not read.
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
        codec, key = shard.codec_setting.name, shard.key
        shard_path(self.run_dir, ShardFolder.STREAMS, codec, key).unlink(missing_ok=True)
        superseded_path(self.run_dir, ShardFolder.STREAMS, codec, key).unlink(missing_ok=True)

    def read(self, shard: Shard) -> pa.Table:
        """The rows of a stored shard; raises one of ``DAMAGED`` where they are absent."""
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
