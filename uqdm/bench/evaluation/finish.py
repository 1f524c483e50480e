"""Gathers a finished codec's shards into ``per_image/<codec>.parquet``, and writes manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from uqdm.bench.datasets import Images, Origin
from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.file_identity import clear_way, write_stored
from uqdm.bench.metrics import all_metrics, rows_schema
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.filled_rows import MissingScores, filled_rows, scored_origin, with_mean_found
from uqdm.bench.run.layout import evaluation_path, manifest_path, manifests_dir, rows_dir, rows_path
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.rows_writer import writing_rows
from uqdm.bench.run.run_id import ensure_run_id
from uqdm.bench.run.score_store import ScoreStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.superseded import arrange, set_aside_others
from uqdm.bench.run.tables import with_columns
from uqdm.bench.run.timing_store import TimingStore
from uqdm.bench.schema import ROW_FORMAT, STATUS_SKIPPED
from uqdm.text import counted


@dataclass(frozen=True)
class CodecOutcome:
    """Outcome of one codec: images x settings that are ok and failed, skipped settings, and the first reason."""

    codec: str
    ok: int
    failed: int
    skipped_settings: int
    reason: str | None = None

    def __str__(self) -> str:
        if not self.ok and not self.failed:
            return f"{self.codec}: SKIPPED: {self.reason}"
        parts = [f"{self.ok:,} ok", f"{self.failed:,} FAILED" if self.failed else "0 failed"]
        parts += [f"{counted(self.skipped_settings, 'setting')} SKIPPED"] if self.skipped_settings else []
        return f"{self.codec}: {', '.join(parts)}" + (f" ({self.reason})" if self.reason else "")


def finish_codec(context: Context, plan: CodecPlan) -> CodecOutcome:
    """Writes ``per_image/<name>.parquet`` from the shards, then ``manifests/<name>.json``."""
    run_dir = context.store.run_dir
    skipped = [codec_setting for codec_setting in plan.codec_settings if codec_setting.missing is not None]
    origin = rows_origin(context.origin, run_dir, plan.name)
    if context.metrics is not None:
        origin["scored"] = scored_origin(context.origin, context.metrics)
    schema = with_provenance(rows_schema(), origin)
    reason = skipped[0].missing if skipped else None
    path, timings = rows_path(run_dir, plan.name), TimingStore(run_dir)
    clear_way(path)
    with writing_rows(path, schema) as writer:
        for shard in plan.shards():
            rows = timings.with_times(context.store.read(shard), shard)
            writer.write(_rows_to_write(context, shard, rows, schema))
            reason = reason or _first_error(rows)
        for codec_setting in skipped:
            writer.write(_skipped_row(context, codec_setting, schema))
    counts = plan.totals()
    outcome = CodecOutcome(plan.name, counts["ok"], counts["failed"], len(skipped), reason)
    arrange(run_dir, plan.name, {shard.key for shard in plan.shards()})
    _write_json(manifest_path(run_dir, plan.name), _manifest(context, outcome, plan))
    return outcome


def _rows_to_write(context: Context, shard: Shard, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of a shard, with their stored metrics if metrics are requested."""
    if context.metrics is None:
        return with_columns(with_mean_found(rows, shard.codec_setting), schema)
    missing_scores = MissingScores(context.metrics.lacks(all_metrics()))
    return filled_rows(rows, shard, ScoreStore(context.store.run_dir), missing_scores, schema)


def rows_origin(origin: Mapping[str, Any], run_dir: Path, codec: str) -> dict[str, Any]:
    """The provenance of the rows of a codec, with the identifiers of run and codec."""
    return {**origin, "run_id": ensure_run_id(run_dir), "codec": codec}


def _first_error(rows: pa.Table) -> str | None:
    return next((text for text in rows["error"].to_pylist() if text is not None), None)


def _skipped_row(context: Context, codec_setting: CodecSetting, schema: pa.Schema) -> pa.Table:
    shared = {"dataset": context.dataset.name, "fingerprint": context.dataset.fingerprint, "status": STATUS_SKIPPED}
    row = {**shared, "codec": codec_setting.name, "setting": codec_setting.setting, "error": codec_setting.missing}
    row["target"] = None if codec_setting.target is None else codec_setting.target.text
    return pa.Table.from_pylist([row], schema=schema)


def _manifest(context: Context, outcome: CodecOutcome, plan: CodecPlan) -> dict[str, Any]:
    return {
        **asdict(outcome),
        **_run_facts(context),
        "settings": [
            {
                "setting": codec_setting.setting,
                "label": codec_setting.label,
                "parameters": dict(codec_setting.parameters),
                "codec_version": codec_setting.version,
                "skipped": codec_setting.missing,
                "mean_found": None if codec_setting.mean_found is None else asdict(codec_setting.mean_found),
                "shards": [
                    {"key": shard.key, "start": shard.start, "stop": shard.stop, **(plan.counts(shard) or {})}
                    for shard in plan.shards(codec_setting)
                ],
            }
            for codec_setting in plan.codec_settings
        ],
    }


def _run_facts(context: Context) -> dict[str, Any]:
    dataset = context.dataset
    return {
        "dataset": {
            "name": dataset.name,
            "spec": dataset.spec,
            "fingerprint": dataset.fingerprint,
            "n_images": len(dataset),
        },
        "run_id": ensure_run_id(context.store.run_dir),
        "row_format": ROW_FORMAT,
        "shard_size": context.shard_size,
        "keep_streams": context.kept.streams,
        "keep_reconstructions": context.kept.reconstructions,
        "provenance": dict(context.origin),
        "origin": _origin(dataset),
    }


def _origin(dataset: Images) -> dict[str, str] | None:
    """The release that the images come from; None if the data set does not know it."""
    find_origin = getattr(dataset, "find_origin", None)
    origin: Origin | None = find_origin() if find_origin else getattr(dataset, "origin", None)
    return None if origin is None else asdict(origin)


def finish_run(
    context: Context,
    outcomes: Sequence[CodecOutcome],
    seconds: Mapping[str, float],
    slowest_shards: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes ``evaluation.json``: the outcome of each codec, wall seconds of the phases, and the slowest shards."""
    codecs = {outcome.codec: asdict(outcome) for outcome in outcomes}
    times = {"seconds": dict(seconds), "slowest_shards": list(slowest_shards)}
    _write_json(evaluation_path(context.store.run_dir), {"codecs": codecs, **times, **_run_facts(context)})


def prune_others(run_dir: Path, keep: Sequence[str]) -> None:
    """Removes the gathered rows and manifests of codecs other than ``keep``; shards stay, streams are moved aside."""
    for folder, suffix in ((rows_dir(run_dir), ".parquet"), (manifests_dir(run_dir), ".json")):
        for path in folder.glob(f"*{suffix}"):
            if path.stem not in keep:
                path.unlink()
    set_aside_others(run_dir, keep)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_stored(path, (json.dumps(content, indent=1) + "\n").encode())
