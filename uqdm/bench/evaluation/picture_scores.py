"""Metrics of the pictures of a shard, computed soon after each is decoded: see :class:`PictureScores`."""

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


BATCH_PIXELS = 2**16
"""Pictures are scored in groups of at most so many pixels: 16 of 64x64. A larger one is scored alone."""


class PictureScores:
    """Receives the decoded pictures of a shard while it is measured, and computes their metrics in ``process``.

    ``indices`` are those of the ``originals``, uint8 [H, W, 3], in the data set. Where a value is missing, scoring
    decodes the picture again and computes it.
    """

    def __init__(self, process: MetricProcess, indices: Sequence[int], originals: Sequence[np.ndarray]) -> None:
        self._process = process
        self._indices = indices
        self._originals = originals
        self._waiting: list[tuple[int, PictureKey, np.ndarray]] = []
        self._found: Scores = {}

    def keep(self, offset: int, point_index: int, row: Mapping[str, Any], image_uint8: np.ndarray) -> None:
        """Takes a picture of the image at ``offset``, and scores those that wait once they are enough."""
        sha256 = row["picture_sha256"]
        picture = PictureKey(self._indices[offset], row["point"], row["reconstruction"], sha256)
        if self._waiting and self._waiting[0][2].shape != image_uint8.shape:
            self._score()
        self._waiting.append((offset, picture, image_uint8.copy()))
        height, width, _ = image_uint8.shape
        if (len(self._waiting) + 1) * height * width > BATCH_PIXELS:
            self._score()

    def discard(self, offset: int) -> None:
        """Discards the pictures and the scores of an image that failed later."""
        self._waiting = [one for one in self._waiting if one[0] != offset]
        index = self._indices[offset]
        for name, scores in self._found.items():
            self._found[name] = [one for one in scores if one[0].image_index != index]

    def finish(self) -> Scores:
        """The scores of all pictures."""
        self._score()
        return self._found

    def _score(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        found = self._process.scores([(self._originals[offset], decoded) for offset, _, decoded in waiting])
        for (_, picture, _), values in zip(waiting, found, strict=True):
            for name, value in values.items():
                self._found.setdefault(name, []).append((picture, Score(picture.row_sha256, value)))


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
