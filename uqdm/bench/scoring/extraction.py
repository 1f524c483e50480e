"""Features of pictures for metrics of sets: jobs for workers that decode pictures and run the extractor on them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from uqdm.bench.datasets import Images
from uqdm.bench.evaluation.original_images import OriginalImage
from uqdm.bench.evaluation.shard_job import ShardJob
from uqdm.bench.execute.worker import Worker
from uqdm.bench.metrics import Patches
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.score_store import PictureKey
from uqdm.bench.run.shards import Shard
from uqdm.bench.scoring.pictures import Streams, decoded_pictures
from uqdm.plugins import contained
from uqdm.text import error_line

PICTURES_AT_ONCE = 32
"""Pictures of one job: as many are repeated after a loss, and held in memory by a worker."""
_RANGE = 4096  # most images between the first and the last of a job: it carries the names of all


class Extractor(Protocol):
    """What scoring needs of :class:`~uqdm.bench.features.extractor.Extractor`."""

    @property
    def sha256(self) -> str:
        """Hash of the weights."""

    @property
    def resize(self) -> str:
        """How pictures are resized for the extractor."""

    @property
    def n_features(self) -> int:
        """Features of a picture."""

    def features(self, images: Sequence[np.ndarray], batch: int) -> np.ndarray:
        """Features of uint8 images [H, W, 3]: float32 [n, n_features]."""


class Store(Protocol):
    """What scoring needs of :class:`uqdm.bench.features.store.FeatureStore`."""

    def get(self, key: str) -> np.ndarray | None:
        """The features under ``key``; None if there are none."""

    def put(self, key: str, features: np.ndarray) -> None:
        """Keeps features."""


@dataclass(frozen=True)
class ExtractorSpec:
    """How features are made: which extractor, with which weights and batch."""

    load: Callable[[Path | None], Extractor]
    weights: Path | None
    batch: int
    """Pictures that go through the network at once."""

    def extractor(self, worker: Worker) -> Extractor:
        """The extractor, loaded once in a worker."""
        return worker.keep(("extractor", self.weights), lambda: self.load(self.weights))


def feature_keys(sha256: str, size: tuple[int, int], patches: Patches | None) -> list[str]:
    """The names of a picture's features in the store: one for the whole picture, or one for each of its patches."""
    if patches is None:
        return [sha256]
    count = _n_patches(patches, *size)
    return [hashlib.sha256(f"{sha256} {patches.name} {index}".encode()).hexdigest() for index in range(count)]


@functools.lru_cache(maxsize=256)
def _n_patches(patches: Patches, height: int, width: int) -> int:
    return len(patches.cut(np.zeros((height, width, 3), np.uint8)))


Features = dict[str, np.ndarray | str]
"""Features by their names in the store, or the reason why they could not be made."""


@dataclass(frozen=True)
class FeatureRequest:
    """A picture whose features are to be computed, whole or by patches; ``sha256`` is its hash."""

    picture: PictureKey
    sha256: str
    size: tuple[int, int]
    patches: Patches | None = None

    @property
    def keys(self) -> list[str]:
        """The names of its features in the store."""
        return feature_keys(self.sha256, self.size, self.patches)


@dataclass(frozen=True)
class FeatureJob(ShardJob):
    """Decodes pictures of a shard and takes their features."""

    source: Streams
    requests: tuple[FeatureRequest, ...]
    extractor_spec: ExtractorSpec

    @property
    def inputs(self) -> None:
        """No originals: the pictures are decoded from streams."""

    def prepared(self) -> Self:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return replace(self, source=self.source.read({one.picture.image_index for one in self.requests}))

    def run(self, worker: Worker, inputs: Sequence[OriginalImage]) -> Features:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        by_picture: dict[PictureKey, list[FeatureRequest]] = {}
        for one in self.requests:
            by_picture.setdefault(one.picture, []).append(one)
        found, faults = [], Features()
        for picture, decoded in decoded_pictures(worker, self.source, list(by_picture)):
            for one in by_picture[picture]:
                if isinstance(decoded, str):
                    faults |= dict.fromkeys(one.keys, decoded)
                elif picture_sha256(decoded) != one.sha256:  # a reconstruction that varies between machines
                    faults |= dict.fromkeys(one.keys, "decoded differently by another worker; score on one machine")
                else:
                    found.append((one, decoded))
        return faults | extract(worker, self.extractor_spec, found)

    def on(self, shard: Shard) -> Self:
        """See :class:`~uqdm.bench.evaluation.shard_job.ShardJob`."""
        requests = tuple(one for one in self.requests if shard.start <= one.picture.image_index < shard.stop)
        return replace(self, shard=shard, requests=requests)

    def merge(self, results: Sequence[Features]) -> Features:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return {key: value for part in results for key, value in part.items()}

    def fail(self, inputs: Sequence[OriginalImage], reason: str) -> Features:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return {key: reason for one in self.requests for key in one.keys}


@dataclass(frozen=True)
class OriginalsJob(FeatureJob):
    """Takes features of originals; these come from the data set, and nothing is decoded."""

    dataset: Images | None = None
    originals: tuple[np.ndarray, ...] = ()

    def prepared(self) -> Self:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        assert self.dataset is not None
        indices = [one.picture.image_index for one in self.requests]
        return replace(self, dataset=None, originals=tuple(map(self.dataset.load, indices)))

    def run(self, worker: Worker, inputs: Sequence[OriginalImage]) -> Features:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return extract(worker, self.extractor_spec, list(zip(self.requests, self.originals, strict=True)))


def extract(
    worker: Worker, extractor_spec: ExtractorSpec, found: Sequence[tuple[FeatureRequest, np.ndarray]]
) -> Features:
    """Features of decoded pictures, whole or by patches, by their names in the store."""
    named: list[tuple[str, np.ndarray]] = []
    faults = Features()
    for one, picture in found:
        try:
            with contained():
                named += _parts(one, picture)
        except Exception as error:  # a metric's cut into patches
            faults |= dict.fromkeys(one.keys, f"its patches: {error_line(error)}")
    return faults | _features(worker, extractor_spec, named)


def _features(worker: Worker, extractor_spec: ExtractorSpec, named: Sequence[tuple[str, np.ndarray]]) -> Features:
    if not named:
        return {}
    keys, parts = zip(*named, strict=True)
    try:
        features = extractor_spec.extractor(worker).features(parts, extractor_spec.batch)
    except Exception as error:  # such as too little memory; other scores must not fail with it
        return dict.fromkeys(keys, f"features: {error_line(error)}")
    return dict(zip(keys, features, strict=True))


def _parts(one: FeatureRequest, picture: np.ndarray) -> list[tuple[str, np.ndarray]]:
    parts: Sequence[np.ndarray] = [picture] if one.patches is None else one.patches.cut(picture.copy())
    return list(zip(one.keys, parts, strict=True))


def split_jobs(job: Any) -> list[Any]:
    """A :class:`FeatureJob` as several, each of images nearby with at most about ``PICTURES_AT_ONCE`` pictures."""
    by_image: dict[int, list[FeatureRequest]] = {}
    for one in job.requests:
        by_image.setdefault(one.picture.image_index, []).append(one)
    groups: list[list[FeatureRequest]] = [[]]
    for index in sorted(by_image):
        full = len(groups[-1]) + len(by_image[index]) > PICTURES_AT_ONCE
        if groups[-1] and (full or index - groups[-1][0].picture.image_index >= _RANGE):
            groups.append([])
        groups[-1] += by_image[index]
    return [replace(job, shard=_range(job.shard, group), requests=tuple(group)) for group in groups if group]


def _range(shard: Shard, group: Sequence[FeatureRequest]) -> Shard:
    first, last = (edge(one.picture.image_index for one in group) for edge in (min, max))
    ids = shard.image_ids[first - shard.start : last + 1 - shard.start]
    return replace(shard, start=first, image_ids=ids)
