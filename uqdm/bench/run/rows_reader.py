"""Reads the rows of a run. Every error names what is missing and the command that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from uqdm.bench.file_identity import DAMAGED, open_parquet
from uqdm.bench.metrics import rows_schema
from uqdm.bench.run.absent_columns import (
    absent_columns,
    has_older_names,
    rows_remedies,
    with_present_names,
    with_unscored,
)
from uqdm.bench.run.errors import ResultsError, evaluate_codec_again, evaluate_remedy
from uqdm.bench.run.json_files import read_manifest
from uqdm.bench.run.layout import manifest_path, rows_dir, run_of_rows
from uqdm.bench.run.provenance import read_provenance
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
    "image_index",
    "point",
    "reconstruction",
    "status",
)
"""Columns of the rows that every release has written."""


def rows_files(run_dir: Path) -> list[Path]:
    """The files of the rows, sorted; raises :class:`~uqdm.bench.run.errors.ResultsError` if there are none."""
    if not run_dir.is_dir():
        raise ResultsError(f"no run folder {run_dir}; {evaluate_remedy(run_dir)}")
    files = sorted(path for path in rows_dir(run_dir).glob("*.parquet") if not path.name.startswith("."))
    if not files:
        raise ResultsError(f"no rows in {rows_dir(run_dir)}; {evaluate_remedy(run_dir)}")
    return files


def read_rows(run_dir: Path, columns: list[str]) -> pd.DataFrame:
    """Some columns of the rows of a run as a data frame; ``pandas.isna`` tells what is null.

    The column ``unscored`` has dictionaries: the name of a metric, and why the row lacks it.
    """
    return to_frame(pa.concat_tables([rows_with(path, columns).read(columns) for path in rows_files(run_dir)]))


class RowsFile:
    """The rows of a codec. A column that the file lacks, since another release or other metrics wrote it, is null.

    Where that is a metric's, the column ``unscored`` says so and how to fill it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        absent = absent_columns(rows_schema(), self.schema)
        remedies = rows_remedies(run_of_rows(path), absent)
        self._has_older_names = has_older_names(self.schema)
        self._more_unscored = remedies if "unscored" not in absent else {}

    @property
    def schema(self) -> pa.Schema:
        """The columns that the file has, with its metadata."""
        return self._file.schema_arrow

    @property
    def num_row_groups(self) -> int:
        """How many row groups the file has."""
        return int(self._file.num_row_groups)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows, in this order."""
        return self._completed(self._file.read(self._stored(columns)), columns)

    def read_row_group(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Some columns of one row group, in this order."""
        return self._completed(self._file.read_row_group(group, self._stored(columns)), columns)

    def _stored(self, columns: Sequence[str]) -> list[str]:
        needed = [*columns, "status"] if "unscored" in columns else list(columns)
        if self._has_older_names:
            present = {"black_pixel_bits": "container_bits", "container_bits": "black_pixel_bits"}
            needed = [present.get(name, name) for name in needed]
        return [name for name in dict.fromkeys([*needed, "codec"]) if name in self.schema.names]

    def _completed(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        known = rows_schema()
        table = table.replace_schema_metadata()
        table = with_present_names(table) if self._has_older_names else table
        schema = pa.schema([known.field(name) for name in columns])
        try:
            if self._more_unscored and "unscored" in columns:
                table = with_unscored(table, self._more_unscored)
            return with_columns(table, schema)
        except (pa.ArrowException, ValueError) as error:
            remedy = evaluate_codec_again(self._path.stem)
            raise ResultsError(f"{self._path}: not a file of rows ({error}); {remedy}") from error


def rows_with(path: Path, columns: Sequence[str]) -> RowsFile:
    """The rows of a codec, opened; raises :class:`~uqdm.bench.run.errors.ResultsError` for a file of something else.

    Columns that it lacks are null, except those that identify a row: a file without them holds no
    rows.
    """
    file = RowsFile(path)
    absent = [name for name in _ESSENTIAL if name not in file.schema.names]
    if absent:
        remedy = evaluate_codec_again(path.stem)
        raise ResultsError(f"{path}: no column {', '.join(absent)}: not a file of rows; {remedy}")
    return file


def rows_of_image(path: Path, column: str, value: str | int) -> list[dict[str, Any]]:
    """Index and id of the image with ``value`` in a column, as often as it has rows in a file.

    The rest of the file is not read, as far as its statistics show where the value is.
    """
    columns = ["image_index", "image_id"]
    found = pq.read_table(path, columns=columns, filters=[(column, "==", value)], partitioning=None)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def image_ids(path: Path) -> list[str]:
    """The ids of all images that have rows in a file, in the order of the rows."""
    column = pq.read_table(path, columns=["image_id"], partitioning=None)["image_id"]
    ids: list[str] = column.unique().drop_null().to_pylist()
    return ids


def rows_schemas(run_dir: Path) -> dict[str, pa.Schema]:
    """The columns and the metadata of each file of rows, by the name of its codec."""
    return {path.stem: _open(path).schema_arrow for path in rows_files(run_dir)}


def rows_provenance(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The provenance of each file of rows, by the name of its codec."""
    return {codec: read_provenance(schema) for codec, schema in rows_schemas(run_dir).items()}


def _open(path: Path) -> pq.ParquetFile:
    """A file of rows, opened, if it is that of its codec and of its run."""
    try:
        file = open_parquet(path)
    except DAMAGED as error:
        raise ResultsError(f"{path}: does not read as Parquet ({error}); {evaluate_codec_again(path.stem)}") from error
    _check_origin(path, file)
    return file


def _check_origin(path: Path, file: pq.ParquetFile) -> None:
    """Raises :class:`~uqdm.bench.run.errors.ResultsError` for the rows of another codec or run."""
    run_dir = run_of_rows(path)
    origin = read_provenance(file.schema_arrow)
    remedy = evaluate_codec_again(path.stem)
    codec = origin.get("codec", path.stem)
    if codec != path.stem:
        raise ResultsError(f"{path}: holds the rows of {codec!r}; {remedy}")
    check_run_id(path, run_dir, origin.get("run_id"), remedy)
    if "run_id" not in origin and manifest_path(run_dir, path.stem).is_file():
        _check_against_manifest(path, file, origin)


def _check_against_manifest(path: Path, file: pq.ParquetFile, origin: Mapping[str, Any]) -> None:
    """Compares rows that name no run, since an older release or another program wrote them, with their manifest."""
    manifest = read_manifest(run_of_rows(path), path.stem)
    if origin:
        evaluated = {name: value for name, value in origin.items() if name != "scored"}
        belongs = evaluated == manifest.get("provenance", evaluated)
    else:
        known = {"codec": {path.stem}, "fingerprint": {manifest["dataset"]["fingerprint"]}}
        known["setting"] = {one["setting"] for one in manifest["settings"]}
        there = [name for name in known if name in file.schema_arrow.names]
        belongs = all(set(pc.unique(file.read([name])[name]).to_pylist()) == known[name] for name in there)
    if not belongs:
        remedy = evaluate_codec_again(path.stem)
        raise ResultsError(f"{path}: not the rows that this run's manifest is of; {remedy}")
