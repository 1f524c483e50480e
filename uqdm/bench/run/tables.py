"""Small changes of tables in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from uqdm.bench.run.unscored import as_maps
from uqdm.bench.schema import UNSCORED

if TYPE_CHECKING:
    import pandas as pd


def with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` in the columns of ``schema``, with its own metadata; columns that it lacks are null."""
    columns = [
        _typed(table[field.name], field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema.with_metadata(table.schema.metadata))


def _typed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return as_maps(column) if kind == UNSCORED else column.cast(kind)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a data frame as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
