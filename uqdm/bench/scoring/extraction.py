"""Features of pictures for set metrics: jobs that decode pictures in workers and run the extractor on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from uqdm.bench.datasets import Images
from uqdm.bench.evaluation.original_images import OriginalImage
from uqdm.bench.evaluation.shard_job import ShardJob
from uqdm.bench.execute.worker import Worker
from uqdm.bench.metrics import ExtractorFacts, Patches
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.score_store import PictureKey
from uqdm.bench.run.shards import Shard
from uqdm.bench.scoring.pictures import Streams, decoded_pictures
from uqdm.plugins import contained
from uqdm.text import error_line

PASSES_AT_ONCE = 32
"""Passes of the network in one job, some seconds of a core: the number that a kill or a lost worker repeats."""
PASSES_AFTER_MODEL = 128
"""The same where a model decodes: that takes longer than a few passes, so an image is not decoded for each of them."""
PICTURES_AT_ONCE = 32
"""Pictures in the memory of a worker, unless those of a single image are more."""
_RANGE = 4096  # maximum distance between a job's first and last image: the job has the names of all between


class Extractor(ExtractorFacts, Protocol):
    """The part of :class:`~uqdm.bench.features.extractor.Extractor` that scoring uses."""

    def features(self, images: Sequence[np.ndarray], batch: int) -> np.ndarray:
        """Features of uint8 images [H, W, 3]: float32 [n, n_features]."""


class Store(Protocol):
    """The part of :class:`uqdm.bench.features.store.FeatureStore` that scoring uses."""

    def get(self, key: str) -> np.ndarray | None:
        """The features under ``key``; None if there are none."""

    def put(self, key: str, features: np.ndarray) -> None:
        """Stores features under ``key``."""


@dataclass(frozen=True)
class ExtractorSpec:
    """How features are computed: extractor, weights and batch size."""

    name: str
    load: Callable[[str, Path | None], Extractor]
    weights: Path | None
    batch: int
    """Pictures in one batch of the network."""

    def extractor(self, worker: Worker) -> Extractor:
        """The extractor, loaded once in a worker."""
        return worker.keep(("extractor", self.name, self.weights), lambda: self.load(self.name, self.weights))


def feature_keys(sha256: str, patches: Patches | None, positions: Sequence[int]) -> list[str]:
    """The keys of a picture's features in the store: one for the whole picture, or one for each of these patches."""
    if patches is None:
        return [sha256]
    return [hashlib.sha256(f"{sha256} {patches.name} {index}".encode()).hexdigest() for index in positions]


WHOLE = (0,)
"""The positions of a picture that is taken whole: a single pass of the network."""

FeatureKey = tuple[str, str]
"""The name of an extractor, and the key of features in its store."""
Features = dict[FeatureKey, np.ndarray | str]
"""Features by their keys, or the reason why they could not be computed."""


@dataclass(frozen=True)
class FeatureRequest:
    """A picture whose features by ``extractor`` are to be computed; ``sha256`` is its hash.

    ``positions`` are the numbers of its patches whose features are wanted; without ``patches`` it is taken whole.
    """

    picture: PictureKey
    sha256: str
    patches: Patches | None = None
    positions: tuple[int, ...] = WHOLE
    extractor: str = "inception"

    @property
    def keys(self) -> list[FeatureKey]:
        """The keys of its features, one for each pass of the network."""
        return [(self.extractor, key) for key in feature_keys(self.sha256, self.patches, self.positions)]

    @property
    def n_passes(self) -> int:
        """The number of passes of the network."""
        return len(self.positions)


@dataclass(frozen=True)
class FeatureJob(ShardJob):
    """Decodes pictures of a shard and computes their features."""

    source: Streams
    requests: tuple[FeatureRequest, ...]
    extractor_specs: Mapping[str, ExtractorSpec]
    """How features are computed, by the name of the extractor: a picture is decoded once for all of them."""

    @property
    def n_passes(self) -> int:
        """The number of passes of the network."""
        return _passes(self.requests)

    @property
    def inputs(self) -> None:
        """None: the pictures are decoded from streams, and originals are not read."""

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
        return faults | extract(worker, self.extractor_specs, found)

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
    """Computes features of originals, which are read from the data set; nothing is decoded."""

    dataset: Images | None = None
    originals: tuple[np.ndarray, ...] = ()

    def prepared(self) -> Self:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        assert self.dataset is not None
        indices = [one.picture.image_index for one in self.requests]
        return replace(self, dataset=None, originals=tuple(map(self.dataset.load, indices)))

    def run(self, worker: Worker, inputs: Sequence[OriginalImage]) -> Features:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return extract(worker, self.extractor_specs, list(zip(self.requests, self.originals, strict=True)))


def extract(
    worker: Worker, extractor_specs: Mapping[str, ExtractorSpec], found: Sequence[tuple[FeatureRequest, np.ndarray]]
) -> Features:
    """Features of decoded pictures, whole or by patches, by their keys."""
    named: dict[str, list[tuple[FeatureKey, np.ndarray]]] = {}
    results = Features()
    for one, picture in found:
        try:
            with contained():
                named.setdefault(one.extractor, []).extend(_parts(one, picture))
        except Exception as error:  # raised by a metric's function that cuts patches
            results |= dict.fromkeys(one.keys, f"its patches: {error_line(error)}")
    for name, parts in named.items():
        results |= _features(worker, extractor_specs[name], parts)
    return results


def _features(
    worker: Worker, extractor_spec: ExtractorSpec, named: Sequence[tuple[FeatureKey, np.ndarray]]
) -> Features:
    keys, parts = zip(*named, strict=True)
    try:
        features = extractor_spec.extractor(worker).features(parts, extractor_spec.batch)
    except Exception as error:  # such as too little memory; it must not affect other scores
        return dict.fromkeys(keys, f"features: {error_line(error)}")
    return dict(zip(keys, features, strict=True))


def _parts(one: FeatureRequest, picture: np.ndarray) -> list[tuple[FeatureKey, np.ndarray]]:
    if one.patches is None:
        return list(zip(one.keys, [picture], strict=True))
    parts = one.patches.cut(picture.copy())
    if len(parts) <= max(one.positions, default=-1):
        raise ValueError(f"{len(parts)} of this picture, more of an empty one of its size")
    return list(zip(one.keys, [parts[index] for index in one.positions], strict=True))


def split_jobs(job: Any, most: int = PASSES_AT_ONCE) -> list[Any]:
    """Splits a :class:`FeatureJob` into jobs of neighbouring images, each of at most ``most`` passes of the network.

    The requests of an image stay together where they fit, so that its stream is decoded once.
    """
    by_image: dict[int, list[FeatureRequest]] = {}
    for one in job.requests:
        by_image.setdefault(one.picture.image_index, []).append(one)
    groups: list[list[FeatureRequest]] = []
    for index in sorted(by_image):
        for part in _packed(by_image[index], most):
            if groups and _fit(groups[-1], part, most):
                groups[-1] += part
            else:
                groups.append(part)
    return [replace(job, shard=_range(job.shard, group), requests=tuple(group)) for group in groups]


def _packed(requests: Iterable[FeatureRequest], most: int) -> list[list[FeatureRequest]]:
    """The requests in order, in as few parts of at most ``most`` passes each; a request may lie in several parts."""
    singles = [(one, position) for one in requests for position in one.positions]
    parts = [singles[start : start + most] for start in range(0, len(singles), most)]
    return [
        [replace(one, positions=tuple(position for _, position in same)) for one, same in groupby(part, itemgetter(0))]
        for part in parts
    ]


def _fit(group: Sequence[FeatureRequest], part: Sequence[FeatureRequest], most: int) -> bool:
    """Whether the requests of another image fit into a job."""
    together = [*group, *part]
    near = part[0].picture.image_index - group[0].picture.image_index < _RANGE
    return near and len(together) <= PICTURES_AT_ONCE and _passes(together) <= most


def _passes(requests: Iterable[FeatureRequest]) -> int:
    return sum(one.n_passes for one in requests)


def _range(shard: Shard, group: Sequence[FeatureRequest]) -> Shard:
    first, last = (edge(one.picture.image_index for one in group) for edge in (min, max))
    ids = shard.image_ids[first - shard.start : last + 1 - shard.start]
    return replace(shard, start=first, image_ids=ids)
