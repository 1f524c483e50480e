"""Writes the rows of scored codecs: the rows of their shards, with the columns of metrics filled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from uqdm.bench.file_identity import clear_way
from uqdm.bench.metrics import rows_schema
from uqdm.bench.run.filled_rows import MissingScores, filled_rows
from uqdm.bench.run.layout import rows_path
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.row_batches import with_status
from uqdm.bench.run.rows_reader import rows_provenance
from uqdm.bench.run.rows_writer import writing_rows
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.run.stored_run import StoredCodec, StoredRun
from uqdm.bench.run.tables import with_columns
from uqdm.bench.run.timing_store import TimingStore
from uqdm.bench.schema import STATUS_SKIPPED


def write_rows(
    run: StoredRun,
    codec: StoredCodec,
    missing_scores: MissingScores,
    origin: Mapping[str, Any],
) -> None:
    """Rewrites ``per_image/<codec>.parquet`` from the shards and the stored scores.

    ``origin`` is the provenance of the metrics (see :func:`uqdm.bench.run.filled_rows.scored_origin`).
    """
    path = rows_path(run.store.run_dir, codec.name)
    written = rows_provenance(run.store.run_dir)[codec.name]  # raises if the file is not of this run and codec
    schema = with_provenance(rows_schema(), {**written, "scored": dict(origin)})
    scores, timings = ScoreStore(run.store.run_dir), TimingStore(run.store.run_dir)
    skipped = _skipped(path, schema)
    clear_way(path)
    with writing_rows(path, schema) as writer:
        for shard in codec.shards:
            rows = timings.with_times(run.rows(shard), shard)
            writer.write(filled_rows(rows, shard, scores, missing_scores, schema))
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
