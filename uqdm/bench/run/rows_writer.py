"""Writes the rows of a codec to one Parquet file, in large row groups of one setting each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.files import replacing

GROUP_ROWS = 2**14
"""The most rows of a row group. Each row group costs memory while the file is written, and space in it."""


class RowsWriter:
    """Writes the rows of shards, in the order of settings; a row group has rows of one setting."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._held: list[pa.Table] = []
        self._setting: str | None = None
        self._n_rows = 0

    def write(self, rows: pa.Table) -> None:
        """Adds rows of one setting, in the columns of the file."""
        if not len(rows):
            return
        setting = rows["setting"][0].as_py()
        if setting != self._setting or self._n_rows + len(rows) > GROUP_ROWS:
            self.flush()
        self._setting = setting
        self._held.append(rows.replace_schema_metadata(self._schema.metadata))
        self._n_rows += len(rows)

    def flush(self) -> None:
        """Writes the added rows as a row group."""
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self._n_rows)
        self._held = []
        self._n_rows = 0


@contextlib.contextmanager
def writing_rows(path: Path, schema: pa.Schema) -> Iterator[RowsWriter]:
    """A writer to ``path``; the file is replaced when the block ends without an error."""
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as parquet,
    ):
        writer = RowsWriter(parquet, schema)
        yield writer
        writer.flush()
