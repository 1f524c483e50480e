"""The store of shards in a run's folder: finished shards are written, found again, and read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from uqdm.bench.file_identity import DAMAGED, write_stored
from uqdm.bench.run.absent_columns import absent_columns, has_older_names, with_present_names
from uqdm.bench.run.found_settings import FOUND_COLUMNS, found_setting
from uqdm.bench.run.layout import ShardFolder, shard_path, superseded_dir
from uqdm.bench.run.shard_files import ShardFiles, StoredStream, measured_sha256
from uqdm.bench.run.shards import Shard, count_images
from uqdm.bench.run.stored_streams import StreamDamagedError, all_whole
from uqdm.bench.schema import ADDED_COLUMNS, ROWS


class ShardStore:
    """The shards below a run's folder (see :mod:`uqdm.bench.run.layout`).

    A file that is not what its name says, or is damaged, counts as absent.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def files(self, shard: Shard) -> ShardFiles:
        """The files of a shard."""
        return ShardFiles(self.run_dir, shard.facts)

    def write(self, shard: Shard, rows: bytes, streams: bytes, reconstructions: bytes | None = None) -> None:
        """Stores a finished shard; the rows last, since they say that it is finished."""
        write_stored(self._place(shard, ShardFolder.STREAMS), streams)
        if reconstructions is not None:
            write_stored(self._place(shard, ShardFolder.RECONSTRUCTIONS), reconstructions)
        write_stored(self._place(shard, ShardFolder.ROWS), rows)

    def counts(self, shard: Shard) -> Counter[str] | None:
        """Images of a stored shard by status; None unless all of it is there, is this shard's, and is undamaged."""
        files = self.files(shard)
        try:
            table = self.read(shard)
            if shard.keep_streams and not all_whole(files.stream_rows(), measured_sha256(table)):
                return None
        except DAMAGED:
            return None
        if shard.keep_reconstructions and not files.has_kept_pictures():
            return None
        counts = count_images(table)
        return counts if counts.total() == len(shard.image_ids) else None

    def read(self, shard: Shard) -> pa.Table:
        """The rows of a stored shard; raises one of :data:`~uqdm.bench.file_identity.DAMAGED` where they are absent.

        Columns that a later release added are null.
        """
        table = self.files(shard).rows()
        added = {*ADDED_COLUMNS}
        if has_older_names(table.schema):
            table = with_present_names(table)
            added.add("container_bits")
        for name in absent_columns(ROWS, table.schema):  # in the order of the columns, so that each gets its place
            if name in added:
                column = ROWS.field(name)
                table = table.add_column(ROWS.get_field_index(name), column, pa.nulls(len(table), column.type))
        if not table.schema.equals(ROWS):
            raise pa.ArrowInvalid(f"{self._place(shard, ShardFolder.ROWS)}: not the columns of a result")
        return table

    def read_all(self, shards: Iterable[Shard]) -> Iterator[pa.Table]:
        """The rows of stored shards, one after the other."""
        return (self.read(shard) for shard in shards)

    def read_streams(
        self, shard: Shard, image_indices: Collection[int]
    ) -> dict[int, StoredStream | StreamDamagedError]:
        """The coded files of some of a stored shard's images, as far as they are stored, or how each is damaged.

        Raises one of :data:`~uqdm.bench.file_identity.DAMAGED` where the file that holds them does
        not read.
        """
        files = self.files(shard)
        rows = files.rows(["stream_sha256", "reconstruction", *FOUND_COLUMNS], image_indices)
        measured = measured_sha256(rows)
        streams = files.streams({index: measured.get(index) for index in image_indices})
        return {index: _with_found(index, one, rows) for index, one in streams.items()}

    def streams_path(self, shard: Shard) -> Path:
        """Where a shard's coded files are."""
        return self.files(shard).path(ShardFolder.STREAMS)

    def has_streams(self, shard: Shard) -> bool:
        """Whether a shard's coded files are there and read."""
        try:
            return self.files(shard).has_streams()
        except DAMAGED:
            return False

    def drop_streams(self, shard: Shard) -> None:
        """Removes a shard's coded files."""
        folder, codec, key = ShardFolder.STREAMS, shard.codec_setting.name, shard.key
        for root in (self.run_dir, superseded_dir(self.run_dir)):
            shard_path(root, folder, codec, key).unlink(missing_ok=True)

    def _place(self, shard: Shard, folder: ShardFolder) -> Path:
        """Where a shard's file of one kind is written."""
        return shard_path(self.run_dir, folder, shard.codec_setting.name, shard.key)


def _with_found(
    image_index: int, stream: StoredStream | StreamDamagedError, rows: pa.Table
) -> StoredStream | StreamDamagedError:
    """A coded file with what a search found for its image, which it is decoded by."""
    if isinstance(stream, StreamDamagedError) or "found_setting" not in rows.column_names:
        return stream
    own = rows.filter(pc.equal(rows["image_index"], image_index))
    return replace(stream, found=found_setting(own.to_pylist()))
