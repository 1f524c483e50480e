"""Tables as CSV that people open: text is printable, and nothing in it runs as a formula in a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv

from uqdm.bench.run.unscored import as_text, reasons_by_row, unscored_text
from uqdm.bench.schema import UNSCORED
from uqdm.text import csv_cell

if TYPE_CHECKING:
    import pandas as pd


def frame_for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """A data frame whose cells of text are as :func:`uqdm.text.csv_cell` writes them; numbers stay numbers."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    frame = as_text(frame)
    texts = [name for name in frame if not is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name])]
    return frame.assign(**{str(name): frame[name].map(_cell).astype(frame[name].dtype) for name in texts})


def write_table(table: pa.Table, path: Path) -> None:
    """Writes a table as CSV for people."""
    for index, field in enumerate(table.schema):
        if field.type == UNSCORED:
            texts = pa.array(map(unscored_text, reasons_by_row(table[field.name])), pa.string())
            table = table.set_column(index, field.name, texts)
            field = table.schema.field(index)
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = pa.array(map(_cell, table[field.name].to_pylist()), field.type)
            table = table.set_column(index, field, column)
    pyarrow.csv.write_csv(table, path)


def _cell(value: Any) -> Any:
    return csv_cell(value) if isinstance(value, str) else value
