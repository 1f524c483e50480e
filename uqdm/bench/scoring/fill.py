"""Writes the rows of scored codecs: what their shards hold, with the metrics' columns filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from uqdm.bench.file_identity import clear_way
from uqdm.bench.metrics import Metric, all_metrics, rows_schema
from uqdm.bench.run.layout import rows_path
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.row_batches import with_status
from uqdm.bench.run.rows_reader import rows_provenance
from uqdm.bench.run.rows_writer import writing_rows
from uqdm.bench.run.score_store import Picture, Score, ScoreStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_run import StoredCodec, StoredRun
from uqdm.bench.run.tables import with_columns
from uqdm.bench.run.unscored import unscored_text
from uqdm.bench.schema import STATUS_FAILED, STATUS_OK, STATUS_SKIPPED

FAULT = "score: "
"""Begins the error of a row that evaluation left as ok, and whose picture could not be scored."""


@dataclass
class MissingScores:
    """Why scores are not there: for a metric everywhere, for a metric on a shard, and for a picture."""

    metric: dict[str, str] = field(default_factory=dict)
    shard: dict[tuple[str, str], str] = field(default_factory=dict)
    """By key of the shard and name of the metric."""
    picture: dict[tuple[str, Picture, str], str] = field(default_factory=dict)
    """By key of the shard, picture and name of the metric."""
    faults: dict[tuple[str, Picture], str] = field(default_factory=dict)
    """What is wrong with a picture, by key of the shard."""

    def reason(self, shard: Shard, picture: Picture, metric: Metric, smaller_side: int) -> str:
        """Why a metric has no value for a picture."""
        if smaller_side < metric.smallest_side:
            return f"{smaller_side} px is under its smallest side of {metric.smallest_side} px"
        return (
            self.picture.get((shard.key, picture, metric.name))
            or self.shard.get((shard.key, metric.name))
            or self.metric.get(metric.name, "not asked for")
        )


def write_rows(run: StoredRun, codec: StoredCodec, missing_scores: MissingScores, origin: Mapping[str, Any]) -> None:
    """Writes ``per_image/<codec>.parquet`` again, from the shards and the stored scores."""
    path = rows_path(run.store.run_dir, codec.name)
    written = rows_provenance(run.store.run_dir)[codec.name]  # raises where the file is another's
    schema = with_provenance(rows_schema(), {**written, "scored": dict(origin)})
    scores = ScoreStore(run.store.run_dir)
    skipped = _skipped(path, schema)
    clear_way(path)
    with writing_rows(path, schema) as writer:
        for shard in codec.shards:
            writer.write(_filled(run.rows(shard), shard, scores, missing_scores, schema))
        for number in range(len(skipped)):
            writer.write(skipped.slice(number, 1))


def _skipped(path: Path, schema: pa.Schema) -> pa.Table:
    file = pq.ParquetFile(path)
    groups = [group for group in range(file.num_row_groups) if _has_skipped(file.read_row_group(group, ["status"]))]
    parts = [with_status(file.read_row_group(group), STATUS_SKIPPED) for group in groups]
    skipped = pa.concat_tables([file.schema_arrow.empty_table(), *parts])
    return with_columns(skipped, schema).replace_schema_metadata(schema.metadata)


def _has_skipped(rows: pa.Table) -> bool:
    return bool(pc.any(pc.equal(rows["status"], STATUS_SKIPPED)).as_py())


def _filled(
    rows: pa.Table, shard: Shard, store: ScoreStore, missing_scores: MissingScores, schema: pa.Schema
) -> pa.Table:
    metrics = all_metrics()
    stored = {metric.name: store.read(shard, metric) for metric in metrics}
    filled = [_fill(row, shard, metrics, stored, missing_scores) for row in rows.to_pylist()]
    return pa.Table.from_pylist(filled, schema=schema)


def _fill(
    row: dict[str, Any],
    shard: Shard,
    metrics: Iterable[Metric],
    stored: Mapping[str, Mapping[Picture, Score]],
    missing_scores: MissingScores,
) -> dict[str, Any]:
    if row["status"] != STATUS_OK:
        return row
    picture = picture_of(row)
    fault = missing_scores.faults.get((shard.key, picture))
    if fault is not None:
        return {**row, "status": STATUS_FAILED, "error": FAULT + fault, "unscored": None, "roundtrip_checked": False}
    side = min(row["height"], row["width"])
    found = {metric.name: stored[metric.name].get(picture) for metric in metrics}
    values = {name: None if score is None else score.value for name, score in found.items()}
    reasons = {m.name: missing_scores.reason(shard, picture, m, side) for m in metrics if found[m.name] is None}
    sha256 = next((score.picture_sha256 for score in found.values() if score is not None), row["picture_sha256"])
    return {**row, **values, "picture_sha256": sha256, "unscored": unscored_text(reasons)}


def picture_of(row: Mapping[str, Any]) -> Picture:
    """The picture of a row."""
    return Picture(row["image_index"], row["point"], row["reconstruction"], row["picture_sha256"])


def ok_rows(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a shard that have a picture, with what scoring needs of them."""
    columns = ["image_index", "point", "reconstruction", "picture_sha256", "height", "width"]
    table = rows.filter(pc.equal(rows["status"], STATUS_OK)).select(columns)
    yield from table.to_pylist()
