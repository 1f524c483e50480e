"""The store of repeated times: a file for each shard with the least and the median time of each picture.

It is apart from the rows of the shard, which stay as they were measured; rows get the times when they are gathered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from uqdm.bench.file_identity import DAMAGED, KIND_TIMINGS, open_parquet, with_identity, write_stored
from uqdm.bench.run.layout import shard_timings_path
from uqdm.bench.run.shards import Shard, to_parquet
from uqdm.bench.schema import REPEATED_TIMES, ROWS, STATUS_OK

_PICTURE = ("image_index", "point", "reconstruction")
_TIMES = ("timing_repeats", *REPEATED_TIMES)
_SCHEMA = pa.schema([ROWS.field(name).remove_metadata() for name in (*_PICTURE, *_TIMES)])


class TimingStore:
    """The repeated times below a run's folder (see :mod:`uqdm.bench.run.layout`)."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def write(self, shard: Shard, rows: Iterable[Mapping[str, Any]]) -> None:
        """Stores the times of a shard by image, point and reconstruction; an image without times has no point."""
        table = pa.Table.from_pylist(list(rows), schema=with_identity(_SCHEMA, shard.identity(KIND_TIMINGS)))
        write_stored(self._path(shard), to_parquet(table))

    def has(self, shard: Shard, image_indices: Collection[int], repeats: int) -> bool:
        """Whether so many rounds of all these images are stored."""
        found = {row["image_index"] for row in self._read(shard) if row["timing_repeats"] == repeats}
        return found >= set(image_indices)

    def with_times(self, rows: pa.Table, shard: Shard) -> pa.Table:
        """The rows of a shard with its repeated times, as far as there are any."""
        stored = {tuple(row[name] for name in _PICTURE): row for row in self._read(shard)}
        if not stored:
            return rows
        keys = zip(*(rows[name].to_pylist() for name in (*_PICTURE, "status")), strict=True)
        found = [stored.get(key[:3]) if key[3] == STATUS_OK else None for key in keys]
        for name in _TIMES:
            values = pa.array([None if row is None else row[name] for row in found], ROWS.field(name).type)
            rows = rows.set_column(rows.schema.get_field_index(name), ROWS.field(name), values)
        return rows

    def _path(self, shard: Shard) -> Path:
        return shard_timings_path(self._run_dir, shard.codec_setting.name, shard.key)

    def _read(self, shard: Shard) -> list[dict[str, Any]]:
        """The stored times; none where the file is absent, damaged, or another's."""
        try:
            table = open_parquet(self._path(shard), shard.identity(KIND_TIMINGS)).read()
        except DAMAGED:
            return []
        found: list[dict[str, Any]] = table.to_pylist() if table.schema.equals(_SCHEMA) else []
        return found
