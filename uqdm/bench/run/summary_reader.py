"""Reads the summary of a run. Every error names what is missing and the command that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from uqdm.bench.file_identity import DAMAGED, open_parquet
from uqdm.bench.metrics import rows_schema, summary_schema
from uqdm.bench.run.absent_columns import (
    absent_columns,
    rows_remedies,
    summary_remedies,
    with_unscored,
)
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import summary_path
from uqdm.bench.run.provenance import read_provenance
from uqdm.bench.run.rows_reader import rows_schemas
from uqdm.bench.run.run_id import check_run_id
from uqdm.bench.run.tables import with_columns
from uqdm.bench.run.unscored import to_frame

if TYPE_CHECKING:
    import pandas as pd

_ESSENTIAL = (
    "dataset",
    "fingerprint",
    "codec",
    "setting",
    "point",
    "reconstruction",
    "n",
    "bpp",
    "status",
)
"""Columns of the summary that every release has written."""


def read_summary(run_dir: Path) -> pd.DataFrame:
    """The summary as a data frame, in the columns of its schema; ``pandas.isna`` tells what is null.

    The column ``unscored`` has dictionaries: the name of a metric, and why the row lacks it.
    """
    return to_frame(_read(run_dir))


def summary_provenance(run_dir: Path) -> dict[str, Any]:
    """How the summary was made: protocol, and the provenance of the rows."""
    return read_provenance(_read(run_dir).schema)


def unfilled_metrics(run_dir: Path) -> dict[str, str]:
    """Metrics that are declared here and that a run has no column of, each with the way to fill it."""
    of_rows = {name for found in rows_schemas(run_dir).values() for name in absent_columns(rows_schema(), found)}
    unfilled = rows_remedies(run_dir, of_rows)
    if summary_path(run_dir).is_file():
        absent = absent_columns(summary_schema(), open_parquet(summary_path(run_dir)).schema_arrow)
        unfilled = {**summary_remedies(run_dir, absent), **unfilled}
    return unfilled


def _read(run_dir: Path) -> pa.Table:
    path = summary_path(run_dir)
    if not path.is_file():
        raise ResultsError(f"no {path}; make it with: uqdm bench summarize --run {run_dir}")
    again = f"make it again: uqdm bench summarize --run {run_dir}"
    try:
        table = open_parquet(path).read()
        completed = with_columns(table, summary_schema())
    except DAMAGED as error:
        raise ResultsError(f"{path}: does not read as a summary ({error}); {again}") from error
    if not set(_ESSENTIAL) <= set(table.column_names):
        raise ResultsError(f"{path}: not the columns of a summary; {again}")
    check_run_id(path, run_dir, read_provenance(table.schema).get("run_id"), again)
    remedies = summary_remedies(run_dir, absent_columns(summary_schema(), table.schema))
    return with_unscored(completed, remedies) if remedies else completed
