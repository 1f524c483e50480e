"""The files of one shard: its rows, its coded files and its kept pictures. Every reader of a run opens them here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.file_identity import (
    KIND_RECONSTRUCTIONS,
    KIND_ROWS,
    KIND_STREAMS,
    ShardFacts,
    open_parquet,
)
from uqdm.bench.run.found_settings import NOTHING_FOUND, FoundSetting
from uqdm.bench.run.json_files import listed_shards
from uqdm.bench.run.kept_pictures import has_kept_pictures, read_kept_pictures
from uqdm.bench.run.layout import ShardFolder
from uqdm.bench.run.stored_streams import StreamDamagedError, checked_stream
from uqdm.bench.run.superseded import stored_path
from uqdm.bench.run.unscored import with_maps
from uqdm.bench.schema import FIRST_WITH_IDENTITY, STREAMS

_KINDS = {
    ShardFolder.ROWS: KIND_ROWS,
    ShardFolder.STREAMS: KIND_STREAMS,
    ShardFolder.RECONSTRUCTIONS: KIND_RECONSTRUCTIONS,
}
_STREAM_COLUMNS = ["image_index", "suffix", "stream", "n_bytes", "stream_sha256"]


@dataclass(frozen=True)
class StoredStream:
    """A coded file as it was measured, the suffix of such files, and what a search found for its image."""

    stream: bytes
    suffix: str
    found: FoundSetting = NOTHING_FOUND


@dataclass(frozen=True)
class ShardFiles:
    """The files of one shard in a run's folder, for readers that need neither its data set nor its codec.

    Its methods raise one of :data:`~uqdm.bench.file_identity.DAMAGED` where a file is absent,
    damaged, or not what its name says.
    """

    run_dir: Path
    facts: ShardFacts

    def path(self, folder: ShardFolder) -> Path:
        """Where the shard's file of one kind is: in its folder, or among the superseded ones."""
        return stored_path(self.run_dir, folder, self.facts.codec, self.facts.key)

    def rows(self, columns: Sequence[str] | None = None, image_indices: Collection[int] | None = None) -> pa.Table:
        """The rows, all or those of some images, in all columns or in those of ``columns`` that the file has."""
        file = self._open(ShardFolder.ROWS)
        if columns is not None:
            there = file.schema_arrow.names
            columns = [name for name in dict.fromkeys(["image_index", *columns]) if name in there]
        table = with_maps(file.read(columns))
        if image_indices is None:
            return table
        is_asked_for = [index in image_indices for index in table["image_index"].to_pylist()]
        return table.filter(pa.array(is_asked_for, pa.bool_()))

    def streams(self, measured_sha256: Mapping[int, str | None]) -> dict[int, StoredStream | StreamDamagedError]:
        """The coded files of some images, as far as they are stored, or how each is damaged.

        ``measured_sha256`` are their hashes in the rows, by index of the image; None where rows of
        an older release have none.
        """
        found: dict[int, StoredStream | StreamDamagedError] = {}
        for row in self.stream_rows(measured_sha256):
            index = row["image_index"]
            try:
                found[index] = StoredStream(checked_stream(row, measured_sha256[index]), row["suffix"])
            except StreamDamagedError as error:
                found[index] = error
        return found

    def stream_rows(self, image_indices: Collection[int] | None = None) -> Iterator[dict[str, Any]]:
        """The rows of ``STREAMS``, one at a time and unchecked: of all images, or of some."""
        file = self._open(ShardFolder.STREAMS)
        has_hashes = self.facts.row_format >= FIRST_WITH_IDENTITY
        if has_hashes and not file.schema_arrow.equals(STREAMS):
            raise pa.ArrowInvalid(f"{self.path(ShardFolder.STREAMS)}: not the columns of streams")
        columns = [name for name in _STREAM_COLUMNS if name in file.schema_arrow.names]
        table = file.read(columns)
        for place, index in enumerate(table["image_index"].to_pylist()):
            if image_indices is None or index in image_indices:
                yield {name: table[name][place].as_py() for name in columns}

    def has_streams(self) -> bool:
        """Whether the coded files are there, with all columns."""
        return bool(self._open(ShardFolder.STREAMS).schema_arrow.equals(STREAMS))

    def kept_pictures(self, image_index: int) -> list[dict[str, Any]]:
        """The kept pictures of one image as rows of ``RECONSTRUCTIONS``; those of other images are not read."""
        folder = ShardFolder.RECONSTRUCTIONS
        return read_kept_pictures(self.path(folder), image_index, self._identity(folder))

    def has_kept_pictures(self) -> bool:
        """Whether the file of kept pictures is there, whole, and this shard's."""
        folder = ShardFolder.RECONSTRUCTIONS
        return has_kept_pictures(self.path(folder), self._identity(folder))

    def _open(self, folder: ShardFolder) -> pq.ParquetFile:
        return open_parquet(self.path(folder), self._identity(folder))

    def _identity(self, folder: ShardFolder) -> dict[str, Any] | None:
        """The identity of the file of one kind; None where an older release wrote it, whose files have none."""
        if self.facts.row_format < FIRST_WITH_IDENTITY:
            return None
        return self.facts.identity(_KINDS[folder])


def shards_of(run_dir: Path, manifest: Mapping[str, Any], setting: str) -> Iterator[ShardFiles]:
    """The shards of a codec at one setting; those of a merged run are in the folder of the run that they are from."""
    found = (listed for listed in manifest["settings"] if listed["setting"] == setting)
    folder = next((listed["taken_from"]["run"] for listed in found if "taken_from" in listed), "")
    for facts in listed_shards(manifest, setting):
        yield ShardFiles(run_dir / folder, facts)


def measured_sha256(rows: pa.Table) -> dict[int, str]:
    """The hash of the coded file of each image that has one, by the rows of its shard."""
    pairs = zip(rows["image_index"].to_pylist(), rows["stream_sha256"].to_pylist(), strict=True)
    return {index: sha256 for index, sha256 in pairs if sha256 is not None}
