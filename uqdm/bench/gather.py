"""Gathers a finished codec's shards into ``per_image/<codec>.parquet``, and writes down what was done."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from uqdm.bench.datasets import Origin
from uqdm.bench.identity import clear_way, write_stored
from uqdm.bench.metrics import rows_schema
from uqdm.bench.provenance import with_provenance
from uqdm.bench.requests import Candidate
from uqdm.bench.results import with_columns
from uqdm.bench.rows_file import writing_rows
from uqdm.bench.run_id import ensure_run_id
from uqdm.bench.schema import ROW_FORMAT, STATUS_SKIPPED
from uqdm.bench.shards import Images, Kept, Shard, ShardStore
from uqdm.bench.superseded import arrange, set_aside_others


@dataclass(frozen=True)
class Context:
    """What all codecs of an evaluation share."""

    dataset: Images
    store: ShardStore
    origin: Mapping[str, Any]
    shard_size: int
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True)
class Finding:
    """What came of one codec: images x settings that are ok and failed, settings that were skipped, and why."""

    codec: str
    ok: int
    failed: int
    skipped_settings: int
    reason: str | None = None

    def __str__(self) -> str:
        if not self.ok and not self.failed:
            return f"{self.codec}: SKIPPED: {self.reason}"
        parts = [f"{self.ok:,} ok", f"{self.failed:,} FAILED" if self.failed else "0 failed"]
        parts += [f"{self.skipped_settings} settings SKIPPED"] if self.skipped_settings else []
        return f"{self.codec}: {', '.join(parts)}" + (f" ({self.reason})" if self.reason else "")


class Plan(Protocol):
    """What is known of a codec's shards (see :mod:`uqdm.bench.plan`)."""

    @property
    def name(self) -> str:
        """The codec."""

    @property
    def candidates(self) -> Sequence[Candidate]:
        """Its settings, among them those that cannot run here."""

    def shards(self, candidate: Candidate | None = None) -> Iterator[Shard]:
        """Its shards, or those of one setting, in the order of settings and images."""

    def counts(self, shard: Shard) -> Counter[str] | None:
        """Images of a shard by status; None where it is still to be done."""

    def totals(self) -> Counter[str]:
        """Images of all shards by status."""


def finish_codec(context: Context, plan: Plan) -> Finding:
    """Writes ``per_image/<name>.parquet`` from the shards, then ``manifests/<name>.json``."""
    run_dir = context.store.run_dir
    skipped = [candidate for candidate in plan.candidates if candidate.missing is not None]
    schema = with_provenance(rows_schema(), rows_origin(context.origin, run_dir, plan.name))
    reason = skipped[0].missing if skipped else None
    path = run_dir / "per_image" / f"{plan.name}.parquet"
    clear_way(path)
    with writing_rows(path, schema) as writer:
        for rows in context.store.read_all(plan.shards()):
            writer.write(with_columns(rows, schema))
            reason = reason or _first_error(rows)
        for candidate in skipped:
            writer.write(_skipped_row(context, candidate, schema))
    counts = plan.totals()
    finding = Finding(plan.name, counts["ok"], counts["failed"], len(skipped), reason)
    arrange(run_dir, plan.name, {shard.key for shard in plan.shards()})
    _write_json(run_dir / "manifests" / f"{plan.name}.json", _manifest(context, finding, plan))
    return finding


def rows_origin(origin: Mapping[str, Any], run_dir: Path, codec: str) -> dict[str, Any]:
    """The provenance of the rows of a codec, with what tells them from those of others and of other runs."""
    return {**origin, "run_id": ensure_run_id(run_dir), "codec": codec}


def _first_error(rows: pa.Table) -> str | None:
    return next((text for text in rows["error"].to_pylist() if text is not None), None)


def _skipped_row(context: Context, candidate: Candidate, schema: pa.Schema) -> pa.Table:
    shared = {"dataset": context.dataset.name, "fingerprint": context.dataset.fingerprint, "status": STATUS_SKIPPED}
    row = {**shared, "codec": candidate.name, "setting": candidate.setting, "error": candidate.missing}
    return pa.Table.from_pylist([row], schema=schema)


def _manifest(context: Context, finding: Finding, plan: Plan) -> dict[str, Any]:
    return {
        **asdict(finding),
        **_run_facts(context),
        "settings": [
            {
                "setting": candidate.setting,
                "parameters": dict(candidate.parameters),
                "codec_version": candidate.version,
                "skipped": candidate.missing,
                "shards": [
                    {"key": shard.key, "start": shard.start, "stop": shard.stop, **(plan.counts(shard) or {})}
                    for shard in plan.shards(candidate)
                ],
            }
            for candidate in plan.candidates
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
    """Which release the images are of, from data sets that know."""
    origin: Origin | None = getattr(dataset, "origin", None)
    return None if origin is None else asdict(origin)


def finish_run(
    context: Context,
    findings: Sequence[Finding],
    seconds: Mapping[str, float],
    slowest_shards: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes ``evaluation.json``: what this evaluation found, codec by codec, its phases' wall seconds, slow shards."""
    codecs = {finding.codec: asdict(finding) for finding in findings}
    times = {"seconds": dict(seconds), "slowest_shards": list(slowest_shards)}
    _write_json(context.store.run_dir / "evaluation.json", {"codecs": codecs, **times, **_run_facts(context)})


def prune_others(run_dir: Path, keep: Sequence[str]) -> None:
    """Removes the gathered rows and manifests of codecs other than ``keep``; their shards stay, streams go aside."""
    for folder, suffix in (("per_image", ".parquet"), ("manifests", ".json")):
        for path in (run_dir / folder).glob(f"*{suffix}"):
            if path.stem not in keep:
                path.unlink()
    set_aside_others(run_dir, keep)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_stored(path, (json.dumps(content, indent=1) + "\n").encode())
