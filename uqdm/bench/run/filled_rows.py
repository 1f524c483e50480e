"""Fills the rows of a shard with the stored values of metrics, or with the reasons why there are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from uqdm.bench.metrics import Metric, all_metrics
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.score_store import PictureKey, Score, ScoreStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.unscored import unscored_map
from uqdm.bench.schema import ALL_METRICS, NOT_SCORED, STATUS_FAILED, STATUS_OK

FAULT = "score: "
"""Begins the error of a row that evaluation left as ok, and whose picture could not be scored."""


@dataclass
class MissingScores:
    """Why scores are not there: for a metric everywhere, for a metric on a shard, and for a picture."""

    metric: dict[str, str] = field(default_factory=dict)
    shard: dict[tuple[str, str], str] = field(default_factory=dict)
    """By key of the shard and name of the metric."""
    picture: dict[tuple[str, PictureKey, str], str] = field(default_factory=dict)
    """By key of the shard, picture and name of the metric."""
    faults: dict[tuple[str, PictureKey], str] = field(default_factory=dict)
    """What is wrong with a picture, by key of the shard."""

    def reason(self, shard: Shard, picture: PictureKey, metric: Metric, smaller_side: int) -> str:
        """Why a metric has no value for a picture."""
        if smaller_side < metric.smallest_side:
            return f"{smaller_side} px is under its smallest side of {metric.smallest_side} px"
        return (
            self.picture.get((shard.key, picture, metric.name))
            or self.shard.get((shard.key, metric.name))
            or self.metric.get(metric.name, NOT_SCORED[ALL_METRICS])
        )


def scored_origin(origin: Mapping[str, Any], metrics: MetricChoice) -> dict[str, Any]:
    """Provenance of the metrics in rows: that of the process that filled them, and the state of each metric then."""
    return {**origin, "metrics": metrics.states()}


def is_filled(rows_origin: Mapping[str, Any], metrics: MetricChoice) -> bool:
    """Whether rows with this provenance were filled with the metrics as they are asked for and run here now."""
    scored = rows_origin.get("scored")
    return isinstance(scored, Mapping) and scored.get("metrics") == metrics.states()


def filled_rows(
    rows: pa.Table, shard: Shard, store: ScoreStore, missing_scores: MissingScores, schema: pa.Schema
) -> pa.Table:
    """The rows of a shard in the columns of ``schema``, with what is stored of each metric."""
    metrics = all_metrics()
    stored = {metric.name: store.read(shard, metric) for metric in metrics}
    rows = with_mean_found(rows, shard.codec_setting)
    filled = [_fill(row, shard, metrics, stored, missing_scores) for row in rows.to_pylist()]
    return pa.Table.from_pylist(filled, schema=schema)


def with_mean_found(rows: pa.Table, codec_setting: CodecSetting) -> pa.Table:
    """Rows with what a search for the mean found, if one found their setting; stored rows serve other requests, too.

    The columns are those of all rows, or of the rows at the point of a progressive file that answers.
    """
    found = codec_setting.mean_found
    if found is None:
        return rows
    values = asdict(found)
    point = values.pop("point")
    filled = [{**row, **values} if point in (None, row["point"]) else row for row in rows.to_pylist()]
    return pa.Table.from_pylist(filled, schema=rows.schema)


def _fill(
    row: dict[str, Any],
    shard: Shard,
    metrics: Iterable[Metric],
    stored: Mapping[str, Mapping[PictureKey, Score]],
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
    return {**row, **values, "picture_sha256": sha256, "unscored": unscored_map(reasons)}


def picture_of(row: Mapping[str, Any]) -> PictureKey:
    """The picture of a row."""
    return PictureKey(row["image_index"], row["point"], row["reconstruction"], row["picture_sha256"])


def ok_rows(rows: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a shard that have a picture, with what scoring needs of them."""
    columns = ["image_index", "point", "reconstruction", "picture_sha256", "height", "width"]
    table = rows.filter(pc.equal(rows["status"], STATUS_OK)).select(columns)
    yield from table.to_pylist()
