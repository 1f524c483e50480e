"""Reads a run's folder: rows, summary, streams. Every error names what is missing and the command that makes it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from uqdm.bench.datasets import Origin
from uqdm.bench.file_identity import DAMAGED, check_regular, open_parquet
from uqdm.bench.metrics import declared, rows_schema, summary_schema
from uqdm.bench.run.layout import evaluation_path, manifest_path, rows_dir, run_of_rows, scores_path, summary_path
from uqdm.bench.run.listed_shards import ListedShard, listed_shards
from uqdm.bench.run.provenance import read_provenance
from uqdm.bench.run.run_id import read_run_id
from uqdm.bench.run.stored_streams import checked_stream
from uqdm.bench.run.unscored import unscored_text
from uqdm.bench.schema import NOT_SCORED, STATUS_OK

if TYPE_CHECKING:
    import pandas as pd

_ESSENTIAL = ("dataset", "fingerprint", "codec", "setting", "image_index", "point", "reconstruction", "status")
"""Columns of the rows that every release has written."""
_ESSENTIAL_OF_SUMMARY = ("dataset", "fingerprint", "codec", "setting", "point", "reconstruction", "n", "bpp", "status")
_AGAIN = "evaluate again as before (what is stored of the run is not measured again)"


class ResultsError(ValueError):
    """A run's folder lacks something, or holds what does not belong together. The message says what and the remedy."""


class StreamsNotKeptError(ResultsError):
    """The coded files of a run were not kept."""


def rows_files(run_dir: Path) -> list[Path]:
    """The files of the rows, sorted; raises :class:`ResultsError` if there are none."""
    if not run_dir.is_dir():
        raise ResultsError(f"no run folder {run_dir}; {_evaluate(run_dir)}")
    files = sorted(path for path in rows_dir(run_dir).glob("*.parquet") if not path.name.startswith("."))
    if not files:
        raise ResultsError(f"no rows in {rows_dir(run_dir)}; {_evaluate(run_dir)}")
    return files


def read_rows(run_dir: Path, columns: list[str]) -> pd.DataFrame:
    """Some columns of the rows of a run as a data frame; ``pandas.isna`` tells what is null."""
    tables = [rows_with(path, columns).read(columns) for path in rows_files(run_dir)]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


class RowsFile:
    """A file of rows. A column that it lacks, since another release or other metrics wrote it, is null.

    Where that is a metric's, the column ``unscored`` says so and how to fill it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        lacking = _lacking(rows_schema(), self.schema)
        self._told = unscored_text(_unfilled(run_of_rows(path), lacking)) if "unscored" not in lacking else None

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
        needed = [*columns, "status"] if "unscored" in columns else columns
        return [name for name in dict.fromkeys([*needed, "codec"]) if name in self.schema.names]

    def _completed(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        known = rows_schema()
        table = table.replace_schema_metadata()
        if self._told and "unscored" in columns:
            table = _with_unscored(table, self._told)
        schema = pa.schema([known.field(name) for name in columns])
        try:
            return with_columns(table, schema)
        except (pa.ArrowException, ValueError) as error:
            raise ResultsError(f"{self._path}: not a file of rows ({error}); {_gather_again(self._path)}") from error


def _unfilled(run_dir: Path, lacking: Collection[str]) -> dict[str, str]:
    """For each metric that a file has no column of, how to fill it."""
    remedy = f"not scored in this run, fill it with: uqdm bench score --run {run_dir}"
    return {metric.name: remedy for metric in declared() if metric.name in lacking}


def _with_unscored(table: pa.Table, told: str) -> pa.Table:
    """Rows whose ``unscored`` names further metrics; those that were never scored, or have no picture, stay."""
    pairs = zip(table["unscored"].to_pylist(), table["status"].to_pylist(), strict=True)
    texts = [
        text if status != STATUS_OK or text == NOT_SCORED else "; ".join(filter(None, (text, told)))
        for text, status in pairs
    ]
    place = table.column_names.index("unscored")
    return table.set_column(place, table.schema.field(place), pa.array(texts, pa.string()))


def rows_with(path: Path, columns: Sequence[str]) -> RowsFile:
    """A file of rows, opened; raises :class:`ResultsError` where it is not one, or not that of this run.

    Columns that it lacks are null, but for those that tell rows apart: without them it holds no rows.
    """
    file = RowsFile(path)
    lacking = [name for name in _ESSENTIAL if name not in file.schema.names]
    if lacking:
        raise ResultsError(f"{path}: no column {', '.join(lacking)}: not a file of rows; {_gather_again(path)}")
    return file


def unfilled_metrics(run_dir: Path) -> dict[str, str]:
    """Metrics that are declared here and that a run has no column of, each with the way to fill it."""
    of_rows = {name for path in rows_files(run_dir) for name in _lacking(rows_schema(), _schema(path))}
    unfilled = _unfilled(run_dir, of_rows)
    if summary_path(run_dir).is_file():
        lacking = _lacking(summary_schema(), open_parquet(summary_path(run_dir)).schema_arrow)
        unfilled = {**_of_summary(run_dir, lacking), **unfilled}
    return unfilled


def _of_summary(run_dir: Path, lacking: Collection[str]) -> dict[str, str]:
    """For each metric that a summary has no column of, how to fill it."""
    found = _unfilled(run_dir, lacking)
    return {name: f"{remedy}; uqdm bench summarize --run {run_dir}" for name, remedy in found.items()}


def _lacking(wanted: pa.Schema, found: pa.Schema) -> list[str]:
    there = set(found.names)
    return [name for name in wanted.names if name not in there]


def rows_provenance(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The provenance of each file of rows, by the file's name without suffix."""
    return {path.stem: read_provenance(_schema(path)) for path in rows_files(run_dir)}


def check_run(path: Path, run_dir: Path, found: str | None, remedy: str = "") -> None:
    """Raises :class:`ResultsError` where a file says that it is of another run than the folder that it lies in."""
    expected = read_run_id(run_dir)
    if expected is not None and found is not None and found != expected:
        raise ResultsError(
            f"{path}: of another run ({found}, this one is {expected}): it was copied here; {remedy or _AGAIN}"
        )


def read_manifest(run_dir: Path, codec: str) -> dict[str, Any]:
    """What a codec's finished evaluation wrote down: its settings with parameters, versions and shards."""
    path = manifest_path(run_dir, codec)
    if not path.is_file():
        raise ResultsError(f"no {path}; {_evaluate(run_dir)}")
    manifest = read_json(path)
    lacking = [name for name in ("codec", "dataset", "settings") if name not in manifest]
    if lacking or manifest["codec"] != codec:
        reason = f"it lacks {', '.join(lacking)}" if lacking else f"it is that of {manifest['codec']!r}"
        raise ResultsError(f"{path}: not the manifest of {codec!r}: {reason}; {_AGAIN}")
    check_run(path, run_dir, manifest.get("run_id"))
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """A file's object of JSON; raises :class:`ResultsError` where it does not read as one."""
    try:
        check_regular(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (*DAMAGED, RecursionError) as error:
        raise ResultsError(f"{path}: does not read as JSON ({error}); {_AGAIN}") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: not an object of JSON; {_AGAIN}")
    return content


def read_scores(run_dir: Path) -> dict[str, Any]:
    """What a finished scoring wrote down; its ``sets`` are metrics of sets, a row for each row of the summary."""
    path = scores_path(run_dir)
    if not path.is_file():
        raise ResultsError(f"no {path}; {score_remedy(run_dir)}")
    scores = read_json(path)
    check_run(path, run_dir, scores.get("run_id"))
    return scores


def score_remedy(run_dir: Path | str) -> str:
    """How to score a run.

    >>> score_remedy("results/demo")
    'make it with: uqdm bench score --run results/demo'
    """
    return f"make it with: uqdm bench score --run {run_dir}"


def read_origin(run_dir: Path) -> Origin | None:
    """Which release a run's images are of; None if that is not known."""
    path = evaluation_path(run_dir)
    found = read_json(path).get("origin") if path.is_file() else None
    return None if found is None else Origin(**found)


def read_streams(run_dir: Path, codec: str, setting: str, image_indices: Collection[int]) -> dict[int, bytes]:
    """The coded files of some images by their index, each checked against what was measured.

    Raises :class:`StreamsNotKeptError` if one was not kept, and :class:`ResultsError` if one is damaged.
    """
    streams: dict[int, bytes] = {}
    for shard in listed_shards(read_manifest(run_dir, codec), setting):
        if any(shard.start <= index < shard.stop for index in image_indices):
            streams |= _shard_streams(run_dir, shard, image_indices)
    absent = [index for index in image_indices if index not in streams]
    if absent:
        raise StreamsNotKeptError(
            f"the streams of {codec} at {setting!r} were not kept for images {absent}; evaluate again and keep them"
        )
    return {index: streams[index] for index in image_indices}


def _shard_streams(run_dir: Path, shard: ListedShard, image_indices: Collection[int]) -> dict[int, bytes]:
    try:
        return {row["image_index"]: checked_stream(row) for row in shard.streams(run_dir, image_indices)}
    except FileNotFoundError:
        return {}
    except DAMAGED as error:
        raise ResultsError(f"{shard.codec} at {shard.setting!r}: {error}; evaluate {shard.codec} again") from error


def read_summary(run_dir: Path) -> pd.DataFrame:
    """The summary as a data frame, in the columns of its schema; ``pandas.isna`` tells what is null."""
    frame: pd.DataFrame = _summary_table(run_dir).to_pandas()
    return frame


def summary_provenance(run_dir: Path) -> dict[str, Any]:
    """What the summary says of how it was made: protocol, and the provenance of the rows."""
    return read_provenance(_summary_table(run_dir).schema)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a data frame as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _summary_table(run_dir: Path) -> pa.Table:
    path = summary_path(run_dir)
    if not path.is_file():
        raise ResultsError(f"no {path}; make it with: uqdm bench summarize --run {run_dir}")
    again = f"make it again: uqdm bench summarize --run {run_dir}"
    try:
        table = open_parquet(path).read()
        completed = with_columns(table, summary_schema())
    except DAMAGED as error:
        raise ResultsError(f"{path}: does not read as a summary ({error}); {again}") from error
    if not set(_ESSENTIAL_OF_SUMMARY) <= set(table.column_names):
        raise ResultsError(f"{path}: not the columns of a summary; {again}")
    check_run(path, run_dir, read_provenance(table.schema).get("run_id"), again)
    told = unscored_text(_of_summary(run_dir, _lacking(summary_schema(), table.schema)))
    return completed if told is None else _with_unscored(completed, told)


def with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` in the columns of ``schema``, with its own metadata; what it lacks, a newer metric say, is null."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema.with_metadata(table.schema.metadata))


def _schema(path: Path) -> pa.Schema:
    return _open(path).schema_arrow


def _open(path: Path) -> pq.ParquetFile:
    """A file of rows, opened, if it is that of its codec and of its run."""
    try:
        file = open_parquet(path)
    except DAMAGED as error:
        raise ResultsError(f"{path}: does not read as Parquet ({error}); {_gather_again(path)}") from error
    _check_origin(path, file)
    return file


def _check_origin(path: Path, file: pq.ParquetFile) -> None:
    """Raises :class:`ResultsError` for the rows of another codec or run, by what they and the run say of themselves."""
    run_dir, origin = run_of_rows(path), read_provenance(file.schema_arrow)
    codec = origin.get("codec", path.stem)
    if codec != path.stem:
        raise ResultsError(f"{path}: holds the rows of {codec!r}; {_gather_again(path)}")
    check_run(path, run_dir, origin.get("run_id"), _gather_again(path))
    if "run_id" not in origin and manifest_path(run_dir, path.stem).is_file():
        _check_unnamed(path, file, origin)


def _check_unnamed(path: Path, file: pq.ParquetFile, origin: Mapping[str, Any]) -> None:
    """Holds rows that name no run, since an older release or another program wrote them, against their manifest."""
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
        raise ResultsError(f"{path}: not the rows that this run's manifest is of; {_gather_again(path)}")


def _gather_again(path: Path) -> str:
    return f"{_AGAIN}, --codec {path.stem} among them"


def _evaluate(run_dir: Path) -> str:
    return f"make it with: uqdm bench evaluate --dataset NAME --codec NAME --out {run_dir}"
