"""Metrics that a file of results has no column of, since another release or other metrics wrote it.

Their columns are read as null, and the column ``unscored`` says so and how to fill them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa

from uqdm.bench.metrics import declared
from uqdm.bench.run.unscored import is_not_scored, reasons_by_row
from uqdm.bench.schema import STATUS_OK, UNSCORED


def absent_columns(expected: pa.Schema, found: pa.Schema) -> list[str]:
    """The columns of a schema that another one lacks."""
    there = set(found.names)
    return [name for name in expected.names if name not in there]


def has_older_names(schema: pa.Schema) -> bool:
    """Whether rows are of a format before 9, in which ``container_bits`` was the name of ``black_pixel_bits``."""
    return "payload_bits" not in schema.names


def with_present_names(table: pa.Table) -> pa.Table:
    """Rows of a format before 9 with their ``container_bits`` under the present name.

    >>> with_present_names(pa.table({"container_bits": [8]})).column_names
    ['black_pixel_bits']
    """
    if "container_bits" not in table.column_names:
        return table
    renamed = table.rename_columns({"container_bits": "black_pixel_bits"})
    return renamed.replace_schema_metadata(table.schema.metadata)


def rows_remedies(run_dir: Path, absent: Collection[str]) -> dict[str, str]:
    """For each metric among the columns that rows lack, how to fill it."""
    remedy = f"not scored in this run, fill it with: uqdm bench score --run {run_dir}"
    return {metric.name: remedy for metric in declared() if metric.name in absent}


def summary_remedies(run_dir: Path, absent: Collection[str]) -> dict[str, str]:
    """For each metric among the columns that a summary lacks, how to fill it."""
    remedies = rows_remedies(run_dir, absent)
    return {name: f"{remedy}; uqdm bench summarize --run {run_dir}" for name, remedy in remedies.items()}


def with_unscored(table: pa.Table, more: Mapping[str, str]) -> pa.Table:
    """Rows whose ``unscored`` names further metrics; rows that were never scored, or have no picture, stay."""
    pairs = zip(reasons_by_row(table["unscored"]), table["status"].to_pylist(), strict=True)
    reasons = [
        found if status != STATUS_OK or is_not_scored(found) else {**(found or {}), **more} for found, status in pairs
    ]
    place = table.column_names.index("unscored")
    return table.set_column(place, pa.field("unscored", UNSCORED), pa.array(reasons, UNSCORED))
