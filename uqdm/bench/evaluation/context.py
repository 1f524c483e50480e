"""Data set, store and options that all codecs of an evaluation share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uqdm.bench.datasets import Images
from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.stage_options import KeepOptions


@dataclass(frozen=True)
class Context:
    """Data set, store and options that all codecs of an evaluation share."""

    dataset: Images
    store: ShardStore
    origin: Mapping[str, Any]
    shard_size: int
    kept: KeepOptions = field(default_factory=KeepOptions)
    metrics: MetricChoice | None = None
    """Metrics of single images to compute as soon as a picture is decoded; no metrics if None."""
