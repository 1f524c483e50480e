"""What runs inside a Ray worker: jobs, with the codecs that it keeps between them; and the job of measuring a shard."""

from __future__ import annotations

import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.checked_calls import MeasurementError, version_of
from uqdm.bench.evaluation import resource_use as footprint
from uqdm.bench.evaluation.measure import Measured, failure, image_columns, measure_images, warm_up
from uqdm.bench.evaluation.metric_process import MetricProcess
from uqdm.bench.evaluation.picture_scores import PictureScores, Scores, merged
from uqdm.bench.execute.prefetch import Loaded, Unreadable
from uqdm.bench.file_identity import KIND_RECONSTRUCTIONS, KIND_ROWS, KIND_STREAMS, Identity, with_identity
from uqdm.bench.progress.slowest_shards import ShardTiming
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.kept_pictures import Keeper, merge
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.shards import Shard, count_images, to_parquet
from uqdm.bench.run.stored_streams import check_columns
from uqdm.bench.schema import RATE_FILE, RATE_IDEAL, ROWS, STATUS_OK, STREAMS
from uqdm.codec import Codec, get_codec
from uqdm.machine import machine
from uqdm.plugins import contained
from uqdm.text import error_line

T = TypeVar("T")


class Job(Protocol):
    """What a worker can be asked to do on some images of one shard."""

    @property
    def shard(self) -> Shard:
        """The images."""

    @property
    def takes_images(self) -> bool:
        """Whether the originals of the shard are needed."""

    def ready(self) -> Self:
        """The job with all that it needs from disk; called just before it is sent to a worker."""

    def run(self, worker: Worker, images: Sequence[Loaded]) -> Any:
        """Does it, inside a worker; :class:`NotLoaded` where its codec cannot be made there."""

    def alone(self) -> list[Self]:
        """The same job for each of its images."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """What the job gives, from what those of its images gave, in their order."""

    def lost(self, images: Sequence[Loaded], reason: str) -> Any:
        """What the job gives where it killed its worker again and again."""


@dataclass(frozen=True)
class NotLoaded:
    """What a job gives whose codec could not be made in this worker; another may be luckier."""

    reason: str


@dataclass(frozen=True)
class Done:
    """What a job gave, the seconds that it took inside its worker, the worker's machine, and how often it was tried."""

    result: Any
    seconds: float
    host: str
    tries: int = 1

    def timing(self, shard: Shard) -> ShardTiming:
        """How long the job took on its shard, as progress takes it."""
        codec_setting = shard.codec_setting
        return ShardTiming(
            codec_setting.name, codec_setting.setting, shard.start, shard.stop, self.seconds, self.host, self.tries
        )


@dataclass(frozen=True)
class MeasureJob:
    """The job of measuring a shard, and the provenance that its files are to carry."""

    shard: Shard
    origin: Mapping[str, Any]
    metrics: tuple[str, ...] = ()
    """Metrics of single images, of this package, to compute while the pictures are there."""
    takes_images = True

    def ready(self) -> Self:
        """See :class:`Job`; nothing is needed."""
        return self

    def run(self, worker: Worker, images: Sequence[Loaded]) -> Finished | NotLoaded:
        """See :class:`Job`."""
        return worker.measure(self, images)

    def alone(self) -> list[Self]:
        """See :class:`Job`."""
        return [replace(self, shard=shard) for shard in self.shard.alone()]

    def merged(self, parts: Sequence[Finished]) -> Finished:
        """See :class:`Job`."""
        counts = sum((part.counts for part in parts), Counter[str]())
        kept = [part.reconstructions for part in parts if part.reconstructions is not None]
        return Finished(
            _concatenate([part.rows for part in parts], self.shard.identity(KIND_ROWS)),
            _concatenate([part.streams for part in parts], self.shard.identity(KIND_STREAMS)),
            counts,
            merge(kept, self.shard.identity(KIND_RECONSTRUCTIONS)) if kept else None,
            merged([part.scores for part in parts]),
        )

    def lost(self, images: Sequence[Loaded], reason: str) -> Finished:
        """See :class:`Job`."""
        return finish(self, failed(images, reason))


def _concatenate(files: list[bytes], identity: Identity) -> bytes:
    table = pa.concat_tables([pq.read_table(pa.BufferReader(data)) for data in files])
    return to_parquet(table.cast(with_identity(table.schema, identity)))


@dataclass(frozen=True)
class Finished:
    """A measured shard: the Parquet files' bytes and images by status."""

    rows: bytes
    streams: bytes
    counts: Counter[str]
    reconstructions: bytes | None = None
    scores: Scores = field(default_factory=dict)


class Worker:
    """Does jobs in one process with ``threads`` threads, and keeps the codecs that it made between them.

    It is the class of Ray's actors; ``holds_gpu`` says that Ray gave this one a GPU, or a part of one.
    """

    def __init__(self, threads: int = 1, *, holds_gpu: bool = False) -> None:
        self._threads, self._holds_gpu = threads, holds_gpu
        self._codecs: dict[tuple[str, str], tuple[Codec, Codec]] = {}
        self._kept: dict[Hashable, tuple[Any, bool]] = {}

    def hello(self) -> str:
        """The machine's name, once the worker is up."""
        return platform.node()

    def run(self, job: Job, images: Sequence[Loaded]) -> Done:
        """Does one job."""
        began = time.perf_counter()
        result = job.run(self, images)
        return Done(result, time.perf_counter() - began, platform.node())

    def keep(self, key: Hashable, make: Callable[[], T], *, alone: bool = False) -> T:
        """What ``make`` gave when it was first called under ``key``, with one thread.

        What is kept ``alone`` makes way for the next such thing: one codec's model at a time in memory.
        """
        if key not in self._kept:
            if alone:
                self._kept = {other: kept for other, kept in self._kept.items() if not kept[1]}
            self._kept[key] = (make(), alone)
            limit_threads(self._threads)
        kept: T = self._kept[key][0]
        return kept

    def measure(self, work: MeasureJob, images: Sequence[Loaded]) -> Finished | NotLoaded:
        """Measures every image of a shard; one that could not be read has failed."""
        # Copies: what lies in Ray's object store is shared memory, which is no part of the peak.
        readable = {offset: image.copy() for offset, image in enumerate(images) if isinstance(image, np.ndarray)}
        if not readable:
            return finish(work, failed(images))
        footprint.begin_peak()
        try:
            with contained():
                encoder, decoder = self._ready(work.shard.codec_setting, next(iter(readable.values())))
        except MeasurementError as error:  # wherever it is made, it breaks its contract
            return finish(work, failed(images, error_line(error)))
        except Exception as error:
            return NotLoaded(error_line(error))
        keeper = _keeper(work, list(readable))
        scores = self._scores(work, readable)
        observers = [one for one in (keeper, scores) if one is not None]
        measured = measure_images(encoder, decoder, list(readable.values()), observers)
        taken = {"threads": footprint.threads(), "peak_memory_bytes": footprint.peak_memory_bytes()}
        for row in measured.rows:
            row |= taken if row["status"] == STATUS_OK else {}
        finished = finish(work, _with_unreadable(measured, images), keeper)
        return finished if scores is None else replace(finished, scores=scores.found)

    def _scores(self, work: MeasureJob, readable: Mapping[int, np.ndarray]) -> PictureScores | None:
        """Computes the metrics of pictures while these are there; None where none are asked for."""
        if not work.metrics:
            return None
        process = self.keep(("metrics", work.metrics), lambda: MetricProcess(work.metrics))
        indices = [work.shard.start + offset for offset in readable]
        return PictureScores(process, indices, list(readable.values()))

    def _ready(self, codec_setting: CodecSetting, image: np.ndarray) -> tuple[Codec, Codec]:
        """An encoder and a decoder, warm; the same object where construction is costly."""
        key = (codec_setting.name, codec_setting.setting)
        if key not in self._codecs:
            if codec_setting.holds_model:
                self._codecs.clear()  # one model at a time in memory
            encoder = _make(codec_setting)
            decoder = encoder if codec_setting.holds_model else _make(codec_setting)
            self._check_device(encoder)
            limit_threads(self._threads)
            warm_up(encoder, decoder, image)
            self._codecs[key] = (encoder, decoder)
        return self._codecs[key]

    def _check_device(self, codec: Codec) -> None:
        """Raises RuntimeError where Ray gave a GPU that the codec does not see: nobody would notice why it is slow."""
        if self._holds_gpu and codec.device == "cpu":
            raise RuntimeError(
                f"{platform.node()} has a GPU for Ray, but {codec.name} computes on its CPU: mend its driver or its "
                "PyTorch (python -c 'import torch; print(torch.cuda.is_available())'), or start Ray with --num-gpus=0"
            )


def _make(codec_setting: CodecSetting) -> Codec:
    codec = get_codec(codec_setting.name, **codec_setting.parameters)
    version = version_of(codec)
    if version != codec_setting.version:  # another library on another node of a cluster
        raise RuntimeError(f"this worker has {version}, not {codec_setting.version}; install the same on every node")
    return codec


def limit_threads(count: int = 1) -> None:
    """As many threads as a worker has cores: workers fill all of them. Ray's OMP_NUM_THREADS is too late for torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def failed(images: Sequence[Loaded], reason: str = "") -> Measured:
    """A failed row for each image, and no streams; an image that could not be read has that for its reason."""
    rows = [{"image_index": index, **_failure(image, reason)} for index, image in enumerate(images)]
    return Measured(rows, [None] * len(images))


def _failure(image: Loaded, reason: str) -> dict[str, Any]:
    if isinstance(image, Unreadable):
        return failure(image.reason)
    return {**image_columns(image), **failure(reason)}


def _with_unreadable(measured: Measured, images: Sequence[Loaded]) -> Measured:
    """Measurements of the images that could be read, with the others in their places."""
    places = [index for index, image in enumerate(images) if isinstance(image, np.ndarray)]
    streams: list[bytes | None] = [None] * len(images)
    for place, stream in zip(places, measured.streams, strict=True):
        streams[place] = stream
    rows = [{**row, "image_index": places[row["image_index"]]} for row in measured.rows]
    rows += [
        {"image_index": n, **failure(image.reason)} for n, image in enumerate(images) if isinstance(image, Unreadable)
    ]
    return Measured(sorted(rows, key=lambda row: row["image_index"]), streams)


class _Placed(Keeper):
    """Keeps pictures of the images at ``places`` of a shard: of those that could be read."""

    def __init__(self, work: MeasureJob, places: Sequence[int]) -> None:
        super().__init__(work.shard, {**work.origin, "machine": machine()})
        self._places = places

    def keep(self, offset: int, point_index: int, row: Mapping[str, Any], image_uint8: np.ndarray) -> None:
        super().keep(self._places[offset], point_index, row, image_uint8)

    def discard(self, offset: int) -> None:
        super().discard(self._places[offset])


def _keeper(work: MeasureJob, places: Sequence[int]) -> Keeper | None:
    return _Placed(work, places) if work.shard.keep_reconstructions else None


def finish(work: MeasureJob, measured: Measured, keeper: Keeper | None = None) -> Finished:
    """Turns measurements into the files of their shard."""
    shard, codec_setting = work.shard, work.shard.codec_setting
    shared = {
        "dataset": shard.dataset,
        "fingerprint": shard.fingerprint,
        "codec": codec_setting.name,
        "codec_version": codec_setting.version,
        "setting": codec_setting.setting,
        "rate_kind": RATE_IDEAL if codec_setting.ideal else RATE_FILE,
    }
    rows = [{**shared, **row, **_place(shard, row["image_index"])} for row in measured.rows]
    origin = {**work.origin, "machine": machine()}
    schema = with_identity(with_provenance(ROWS, origin), shard.identity(KIND_ROWS))
    table = pa.Table.from_pylist(rows, schema=schema)
    streams = to_parquet(_streams(shard, measured, origin))
    if keeper is None:
        keeper = _keeper(work, [])
    return Finished(to_parquet(table), streams, count_images(table), None if keeper is None else keeper.finish())


def _place(shard: Shard, offset: int) -> dict[str, Any]:
    return {"image_index": shard.start + offset, "image_id": shard.image_ids[offset]}


def _streams(shard: Shard, measured: Measured, origin: Mapping[str, Any]) -> pa.Table:
    shared = {
        "codec": shard.codec_setting.name,
        "setting": shard.codec_setting.setting,
        "suffix": shard.codec_setting.suffix,
    }
    kept = [(offset, stream) for offset, stream in enumerate(measured.streams) if stream is not None]
    rows = [{**_place(shard, offset), **shared, "stream": stream, **check_columns(stream)} for offset, stream in kept]
    schema = with_identity(with_provenance(STREAMS, origin), shard.identity(KIND_STREAMS))
    return pa.Table.from_pylist(rows, schema=schema)
