"""The shards that a manifest lists, for readers that have neither the data set nor the codecs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from uqdm.bench.file_identity import KIND_RECONSTRUCTIONS, KIND_ROWS, KIND_STREAMS, open_parquet, shard_identity
from uqdm.bench.run.layout import ShardFolder
from uqdm.bench.run.superseded import stored_path
from uqdm.bench.schema import FIRST_WITH_IDENTITY

_KINDS = {
    ShardFolder.ROWS: KIND_ROWS,
    ShardFolder.STREAMS: KIND_STREAMS,
    ShardFolder.RECONSTRUCTIONS: KIND_RECONSTRUCTIONS,
}


@dataclass(frozen=True)
class ListedShard:
    """A shard of a codec at a setting; ``facts`` are what its files say of themselves."""

    codec: str
    parameters: Mapping[str, Any]
    setting: str
    key: str
    start: int
    stop: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def path(self, run_dir: Path, folder: ShardFolder) -> Path:
        """Where its file of one kind is."""
        return stored_path(run_dir, folder, self.codec, self.key)

    def identity(self, folder: ShardFolder) -> dict[str, Any] | None:
        """What that file says of itself; None where an older release wrote it, when files said nothing."""
        if self.facts["row_format"] < FIRST_WITH_IDENTITY:
            return None
        return shard_identity(_KINDS[folder], **self.facts)

    def read(
        self, run_dir: Path, folder: ShardFolder, columns: Sequence[str], image_indices: Collection[int]
    ) -> pa.Table:
        """Some columns of one of its files, of the rows of some images; columns that it lacks are left out.

        Raises one of :data:`~uqdm.bench.file_identity.DAMAGED` where it is absent, damaged, or not what its name says.
        """
        file = open_parquet(self.path(run_dir, folder), self.identity(folder))
        there = [name for name in ("image_index", *columns) if name in file.schema_arrow.names]
        table = file.read(list(dict.fromkeys(there)))
        return table.filter(
            pa.array([index in image_indices for index in table["image_index"].to_pylist()], pa.bool_())
        )

    def streams(self, run_dir: Path, image_indices: Collection[int]) -> list[dict[str, Any]]:
        """The rows of ``STREAMS`` of some images; raises as :meth:`read`."""
        columns = ["suffix", "stream", "n_bytes", "stream_sha256"]
        rows: list[dict[str, Any]] = self.read(run_dir, ShardFolder.STREAMS, columns, image_indices).to_pylist()
        return rows


def listed_shards(manifest: Mapping[str, Any], setting: str | None = None) -> Iterator[ListedShard]:
    """The shards in a manifest, of one setting or of all."""
    dataset = manifest["dataset"]
    for one in manifest["settings"]:
        if setting not in (None, one["setting"]):
            continue
        for listed in one["shards"]:
            place = {name: listed[name] for name in ("key", "start", "stop")}
            facts = {
                "row_format": manifest.get("row_format", 0),
                "dataset": dataset["name"],
                "fingerprint": dataset["fingerprint"],
                "codec": manifest["codec"],
                "codec_version": one["codec_version"],
                "setting": one["setting"],
            }
            yield ListedShard(manifest["codec"], one["parameters"], one["setting"], **place, facts={**place, **facts})
