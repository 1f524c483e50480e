"""Reads a run's folder: rows, summary, streams. Every error names what is missing and the command that makes it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.datasets import Origin
from uqdm.bench.metrics import summary_schema
from uqdm.bench.provenance import read_provenance
from uqdm.bench.schema import SUMMARY

if TYPE_CHECKING:
    import pandas as pd


class ResultsError(ValueError):
    """A run's folder lacks something, or holds what does not belong together. The message says what and the remedy."""


class StreamsNotKeptError(ResultsError):
    """The coded files of a run were not kept."""


def rows_dir(run_dir: Path) -> Path:
    """The folder of the per-image rows, a Parquet file a codec."""
    return run_dir / "per_image"


def summary_path(run_dir: Path, suffix: str = ".parquet") -> Path:
    """The summary: ``.parquet``, or ``.csv`` with the same rows."""
    return run_dir / f"summary{suffix}"


def scores_path(run_dir: Path) -> Path:
    """What a finished scoring writes last: metrics of sets, and what could not be scored."""
    return run_dir / "scores.json"


def status_path(run_dir: Path) -> Path:
    """Where a run writes how far it is while it is under way (see :mod:`uqdm.bench.status`)."""
    return run_dir / "status.json"


def plots_dir(run_dir: Path) -> Path:
    """The folder of the plots."""
    return run_dir / "plots"


def report_path(run_dir: Path) -> Path:
    """The report."""
    return run_dir / "report.html"


def bd_path(run_dir: Path) -> Path:
    """The Bjøntegaard deltas of the run's curves."""
    return run_dir / "bd.csv"


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
    files = [rows_with(path, columns) for path in rows_files(run_dir)]
    tables = [file.read(columns).select(columns).replace_schema_metadata() for file in files]
    frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return frame


def rows_with(path: Path, columns: Sequence[str]) -> pq.ParquetFile:
    """A file of rows, opened; raises :class:`ResultsError` where it lacks one of these columns."""
    lacking = [name for name in columns if name not in _schema(path).names]
    if lacking:
        raise ResultsError(f"{path}: no column {', '.join(lacking)}; remove it and evaluate again")
    return pq.ParquetFile(path)


def rows_provenance(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The provenance of each file of rows, by the file's name without suffix."""
    return {path.stem: read_provenance(_schema(path)) for path in rows_files(run_dir)}


def read_manifest(run_dir: Path, codec: str) -> dict[str, Any]:
    """What a codec's finished evaluation wrote down: its settings with parameters, versions and shards."""
    path = run_dir / "manifests" / f"{codec}.json"
    if not path.is_file():
        raise ResultsError(f"no {path}; {_evaluate(run_dir)}")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def read_scores(run_dir: Path) -> dict[str, Any]:
    """What a finished scoring wrote down; its ``sets`` are metrics of sets, a row for each row of the summary."""
    path = scores_path(run_dir)
    if not path.is_file():
        raise ResultsError(f"no {path}; {score_remedy(run_dir)}")
    scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return scores


def score_remedy(run_dir: Path | str) -> str:
    """How to score a run.

    >>> score_remedy("results/demo")
    'make it with: uqdm bench score --run results/demo'
    """
    return f"make it with: uqdm bench score --run {run_dir}"


def read_origin(run_dir: Path) -> Origin | None:
    """Which release a run's images are of; None if that is not known."""
    path = run_dir / "evaluation.json"
    found = json.loads(path.read_text(encoding="utf-8")).get("origin") if path.is_file() else None
    return None if found is None else Origin(**found)


def read_streams(run_dir: Path, codec: str, setting: str, image_indices: Collection[int]) -> dict[int, bytes]:
    """The coded files of some images by their index; raises :class:`StreamsNotKeptError` if one was not kept."""
    listed = [one for one in read_manifest(run_dir, codec)["settings"] if one["setting"] == setting]
    streams: dict[int, bytes] = {}
    for shard in [shard for one in listed for shard in one["shards"]]:
        if any(shard["start"] <= index < shard["stop"] for index in image_indices):
            streams |= _shard_streams(run_dir / "streams" / codec / f"{shard['key']}.parquet")
    absent = [index for index in image_indices if index not in streams]
    if absent:
        raise StreamsNotKeptError(
            f"the streams of {codec} at {setting!r} were not kept for images {absent}; evaluate again and keep them"
        )
    return {index: streams[index] for index in image_indices}


def _shard_streams(path: Path) -> dict[int, bytes]:
    if not path.is_file():
        return {}
    columns = pq.ParquetFile(path).read(["image_index", "stream"]).to_pydict()
    return dict(zip(columns["image_index"], columns["stream"], strict=True))


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
    schema = _schema(path)
    if not set(SUMMARY.names) <= set(schema.names):
        raise ResultsError(f"{path}: not the columns of a summary; make it again: uqdm bench summarize --run {run_dir}")
    return with_columns(pq.ParquetFile(path).read(), summary_schema())


def with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` in the columns of ``schema``, with its own metadata; what it lacks, a newer metric say, is null."""
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in schema
    ]
    return pa.table(columns, schema=schema.with_metadata(table.schema.metadata))


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except pa.ArrowException as error:
        raise ResultsError(f"{path}: does not read as Parquet ({error}); remove it and make it again") from error


def _evaluate(run_dir: Path) -> str:
    return f"make it with: uqdm bench evaluate --dataset NAME --codec NAME --out {run_dir}"
