"""Metrics of the pictures of a shard, computed as soon as each is decoded: see :class:`PictureScores`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uqdm.bench.evaluation.metric_process import MetricProcess
from uqdm.bench.metrics import all_metrics
from uqdm.bench.run.score_store import PictureKey, Score, ScoreStore
from uqdm.bench.run.shards import Shard

Scores = dict[str, list[tuple[PictureKey, Score]]]
"""The value of each picture, by name of the metric."""


class PictureScores:
    """Receives the decoded pictures of a shard while it is measured, and computes their metrics in ``process``.

    ``indices`` are those of the ``originals``, uint8 [H, W, 3], in the data set. Where a value is missing, scoring
    decodes the picture again and computes it.
    """

    def __init__(self, process: MetricProcess, indices: Sequence[int], originals: Sequence[np.ndarray]) -> None:
        self._process = process
        self._indices = indices
        self._originals = originals
        self.found: Scores = {}

    def keep(self, offset: int, point_index: int, row: Mapping[str, Any], image_uint8: np.ndarray) -> None:
        """Scores a picture of the image at ``offset``."""
        sha256 = row["picture_sha256"]
        picture = PictureKey(self._indices[offset], row["point"], row["reconstruction"], sha256)
        for name, value in self._process.scores(self._originals[offset], image_uint8).items():
            self.found.setdefault(name, []).append((picture, Score(sha256, value)))

    def discard(self, offset: int) -> None:
        """Discards the scores of an image that failed later."""
        index = self._indices[offset]
        for name, scores in self.found.items():
            self.found[name] = [one for one in scores if one[0].image_index != index]


def write_scores(store: ScoreStore, shard: Shard, scores: Scores) -> None:
    """Stores the scores of a shard. Call it before the rows are stored: stored rows mark the shard as finished."""
    for metric in all_metrics():
        if scores.get(metric.name):
            store.write(shard, metric, scores[metric.name])


def merged_scores(parts: Sequence[Scores]) -> Scores:
    """The scores of several parts of a shard.

    >>> merged_scores([{"mse": []}, {}])
    {'mse': []}
    """
    found: Scores = {}
    for part in parts:
        for name, scores in part.items():
            found.setdefault(name, []).extend(scores)
    return found
