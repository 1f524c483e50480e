"""The store of scores: a file for each shard and metric, whose name is a hash of all that its values depend on.

A metric that is new, or has a new version, finds no file and is computed; the values of other metrics stay.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from uqdm.bench.file_identity import (
    DAMAGED,
    KIND_SCORES,
    KIND_SET_SCORES,
    check_regular,
    open_parquet,
    with_identity,
    write_stored,
)
from uqdm.bench.metrics import Metric, SetMetric
from uqdm.bench.run.layout import set_scores_path, shard_scores_path
from uqdm.bench.run.shards import Shard, to_parquet

SCORE_FORMAT = 2
"""Version of these files, part of their names."""

_SCHEMA = pa.schema(
    [
        pa.field("image_index", pa.int32(), nullable=False),
        pa.field("point", pa.string(), nullable=False),
        pa.field("reconstruction", pa.string(), nullable=False),
        pa.field("row_sha256", pa.string(), nullable=False),
        pa.field("picture_sha256", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PictureKey:
    """Identifies a picture of a shard; ``row_sha256`` is its hash when it was evaluated."""

    image_index: int
    point: str
    reconstruction: str
    row_sha256: str


@dataclass(frozen=True)
class Score:
    """The value of a metric for a picture, and the picture's hash when it was scored.

    The hash differs from the row's only for reconstructions that may vary between machines.
    """

    picture_sha256: str
    value: float


class ScoreStore:
    """The scores below a run's folder (see :mod:`uqdm.bench.run.layout`)."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def path(self, shard: Shard, metric: Metric) -> Path:
        """The file of a metric's values on a shard."""
        key = _hash(shard.key, metric.name, metric.version)
        return shard_scores_path(self._run_dir, shard.codec_setting.name, key)

    def read(self, shard: Shard, metric: Metric) -> dict[PictureKey, Score]:
        """A metric's values on a shard; empty where the file is absent, damaged, or another's."""
        try:
            file = open_parquet(self.path(shard, metric), _identity(shard, metric))
            table = file.read()
        except DAMAGED:
            return {}
        if not table.schema.equals(_SCHEMA):
            return {}
        rows = zip(*(table[name].to_pylist() for name in _SCHEMA.names), strict=True)
        return {PictureKey(*row[:4]): Score(*row[4:]) for row in rows}

    def write(self, shard: Shard, metric: Metric, scores: Iterable[tuple[PictureKey, Score]]) -> None:
        """Stores a metric's values on a shard."""
        rows = [{**vars(picture), **vars(score)} for picture, score in scores]
        schema = with_identity(_SCHEMA, _identity(shard, metric))
        write_stored(self.path(shard, metric), to_parquet(pa.Table.from_pylist(rows, schema=schema)))

    def read_set(self, key: str) -> dict[str, float] | None:
        """A set metric's columns under ``key``; None where the file is absent, damaged, or another's."""
        path = set_scores_path(self._run_dir, key)
        try:
            check_regular(path)
            content = json.loads(path.read_text(encoding="utf-8"))
        except (*DAMAGED, RecursionError):
            return None
        columns: dict[str, float] | None = content.get("columns") if isinstance(content, dict) else None
        return columns if columns is not None and content == _set_content(key, columns) else None

    def write_set(self, key: str, columns: Mapping[str, float]) -> None:
        """Stores a set metric's columns under ``key``."""
        floats = {name: float(value) for name, value in columns.items()}
        write_stored(set_scores_path(self._run_dir, key), json.dumps(_set_content(key, floats)).encode())


def _identity(shard: Shard, metric: Metric) -> dict[str, Any]:
    """The identity of a file of scores."""
    facts = shard.identity(KIND_SCORES)
    return {**facts, "metric": metric.name, "version": metric.version, "score_format": SCORE_FORMAT}


def _set_content(key: str, columns: Any) -> dict[str, Any]:
    """The content of a file of a set's scores: its kind and key, the columns, and their checksum."""
    return {"kind": KIND_SET_SCORES, "key": key, "columns": columns, "check": _hash(key, columns)}


def set_key(metric: SetMetric, extractor_sha256: str, originals: list[str], pictures: list[str]) -> str:
    """Hash of all that a metric of two sets of pictures depends on.

    ``originals`` and ``pictures`` are the pictures' hashes, in order.
    """
    return _hash(metric.name, metric.version, extractor_sha256, originals, pictures)


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps([SCORE_FORMAT, *parts]).encode()).hexdigest()[:32]
