"""The job of measuring a shard: rows, streams and kept pictures of one codec at one setting."""

from __future__ import annotations

import functools
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench.checked_calls import MeasurementError, version_of
from uqdm.bench.evaluation import resource_use
from uqdm.bench.evaluation.measure import (
    Measured,
    PictureObserver,
    failure,
    image_columns,
    measure_images,
    warm_up,
)
from uqdm.bench.evaluation.metric_process import MetricProcess
from uqdm.bench.evaluation.original_images import OriginalImage, Unreadable
from uqdm.bench.evaluation.picture_scores import PictureScores, Scores, merged_scores
from uqdm.bench.evaluation.shard_job import ShardJob
from uqdm.bench.evaluation.target_search import TargetSearch, score_of
from uqdm.bench.execute.job import NotLoaded
from uqdm.bench.execute.worker import Worker, limit_threads
from uqdm.bench.file_identity import KIND_RECONSTRUCTIONS, KIND_ROWS, KIND_STREAMS, Identity, with_identity
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.kept_pictures import KeptPictureWriter, merge_kept_pictures
from uqdm.bench.run.provenance import with_provenance
from uqdm.bench.run.shards import Shard, count_images, to_parquet
from uqdm.bench.run.stored_streams import check_columns
from uqdm.bench.schema import RATE_FILE, RATE_IDEAL, ROWS, STATUS_OK, STREAMS
from uqdm.codec import Codec, CodecUnavailableError, get_codec
from uqdm.machine import machine
from uqdm.plugins import contained
from uqdm.text import error_line

Measure = Callable[[Sequence[np.ndarray], Sequence[PictureObserver]], Measured]
"""Measures images, whose pictures observers receive."""


@dataclass(frozen=True)
class MeasuredShard:
    """A measured shard: the bytes of its Parquet files, images by status, and scores."""

    rows: bytes
    streams: bytes
    counts: Counter[str]
    reconstructions: bytes | None = None
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class MeasureJob(ShardJob):
    """Measures a shard; ``origin`` is the provenance that is stored in its files.

    ``metrics`` are this package's metrics of single images, computed as soon as a picture is decoded.
    """

    origin: Mapping[str, Any]
    metrics: tuple[str, ...] = ()
    original_changes: Mapping[int, str] = field(default_factory=dict)
    """What reading changed of the shard's images, by their index, where that is known."""

    def run(self, worker: Worker, inputs: Sequence[OriginalImage]) -> MeasuredShard | NotLoaded:
        """Measures every image of the shard; an unreadable image gets a failed row."""
        # Copies: arrays in Ray's object store are shared memory, which peak_memory_bytes leaves out.
        readable = {offset: image.copy() for offset, image in enumerate(inputs) if isinstance(image, np.ndarray)}
        if not readable:
            return measured_shard(self, failed(inputs))
        resource_use.reset_peak()
        try:
            with contained():
                measure = _measuring(self, worker, next(iter(readable.values())))
        except MeasurementError as error:  # the codec violates its contract in every worker
            return measured_shard(self, failed(inputs, error_line(error)))
        except Exception as error:
            return NotLoaded(error_line(error))
        keeper = _keeper(self, list(readable))
        scores = _scores(self, worker, readable)
        observers = [one for one in (keeper, scores) if one is not None]
        measured = measure(list(readable.values()), observers)
        taken = {"threads": measured.threads, "peak_memory_bytes": resource_use.peak_memory_bytes()}
        for row in measured.rows:
            row |= taken if row["status"] == STATUS_OK else {}
        finished = measured_shard(self, _with_unreadable(measured, inputs), keeper)
        return finished if scores is None else replace(finished, scores=scores.finish())

    def merge(self, results: Sequence[MeasuredShard]) -> MeasuredShard:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        counts = sum((part.counts for part in results), Counter[str]())
        kept = [part.reconstructions for part in results if part.reconstructions is not None]
        return MeasuredShard(
            _concatenate([part.rows for part in results], self.shard.identity(KIND_ROWS)),
            _concatenate([part.streams for part in results], self.shard.identity(KIND_STREAMS)),
            counts,
            merge_kept_pictures(kept, self.shard.identity(KIND_RECONSTRUCTIONS)) if kept else None,
            merged_scores([part.scores for part in results]),
        )

    def fail(self, inputs: Sequence[OriginalImage], reason: str) -> MeasuredShard:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return measured_shard(self, failed(inputs, reason))


def _concatenate(files: list[bytes], identity: Identity) -> bytes:
    table = pa.concat_tables([pq.read_table(pa.BufferReader(data)) for data in files])
    return to_parquet(table.cast(with_identity(table.schema, identity)))


def _measuring(job: MeasureJob, worker: Worker, image: np.ndarray) -> Measure:
    """What measures the images of a job: its codec, made and warmed up by now, or the search for its target."""
    codec_setting = job.shard.codec_setting
    target = codec_setting.target
    if target is None:
        encoder, decoder = _warm_codec(worker, codec_setting, image)
        return functools.partial(measure_images, encoder, decoder)

    def make(place: int) -> tuple[Codec, Codec]:
        return _warm_codec(worker, codec_setting if codec_setting.search is None else codec_setting.at(place), image)

    progressive = make(0)[0].progressive
    metrics = (target.quantity,)
    process = worker.keep(("metrics", metrics), lambda: MetricProcess(metrics))  # starts when it is first asked
    score = score_of(process, target.quantity)
    return TargetSearch(target, make, score, codec_setting.search, progressive).measure


def _warm_codec(worker: Worker, codec_setting: CodecSetting, image: np.ndarray) -> tuple[Codec, Codec]:
    """An encoder and a decoder after warm-up; one object for both if construction is slow."""

    def make_both() -> tuple[Codec, Codec]:
        encoder, decoder = make_codecs(codec_setting)
        _check_device(worker, encoder)
        limit_threads(worker.threads)
        warm_up(encoder, decoder, image)
        return encoder, decoder

    key = ("codec", codec_setting.name, codec_setting.setting)
    return worker.keep(key, make_both, alone=codec_setting.holds_model)


def make_codecs(codec_setting: CodecSetting) -> tuple[Codec, Codec]:
    """An encoder and a decoder; one object for both if construction is slow.

    Raises :class:`~uqdm.codec.CodecUnavailableError` where this worker has another version of the codec.
    """
    encoder = _make(codec_setting)
    return encoder, encoder if codec_setting.holds_model else _make(codec_setting)


def _check_device(worker: Worker, codec: Codec) -> None:
    """Raises CodecUnavailableError if the codec leaves the GPU that Ray assigned unused: the run would be slow."""
    if worker.holds_gpu and codec.device == "cpu":
        raise CodecUnavailableError(
            f"{platform.node()} has a GPU for Ray, but {codec.name} computes on its CPU: repair its driver or its "
            "PyTorch (python -c 'import torch; print(torch.cuda.is_available())'), or start Ray with --num-gpus=0"
        )


def _make(codec_setting: CodecSetting) -> Codec:
    codec = get_codec(codec_setting.name, **codec_setting.parameters)
    version = version_of(codec)
    if version != codec_setting.version:  # a different library on this node of a cluster
        raise CodecUnavailableError(
            f"this worker has {version}, not {codec_setting.version}; install the same on every node"
        )
    return codec


def failed(images: Sequence[OriginalImage], reason: str = "") -> Measured:
    """A failed row for each image, without streams; the reason of an unreadable image is its read error."""
    rows = [{"image_index": index, **_failure(image, reason)} for index, image in enumerate(images)]
    return Measured(rows, [None] * len(images))


def _failure(image: OriginalImage, reason: str) -> dict[str, Any]:
    if isinstance(image, Unreadable):
        return failure(image.reason)
    return {**image_columns(image), **failure(reason)}


def _with_unreadable(measured: Measured, images: Sequence[OriginalImage]) -> Measured:
    """Measurements of the readable images, and failed rows for the others, in the order of the images."""
    places = [index for index, image in enumerate(images) if isinstance(image, np.ndarray)]
    streams: list[bytes | None] = [None] * len(images)
    for place, stream in zip(places, measured.streams, strict=True):
        streams[place] = stream
    rows = [{**row, "image_index": places[row["image_index"]]} for row in measured.rows]
    rows += [
        {"image_index": n, **failure(image.reason)} for n, image in enumerate(images) if isinstance(image, Unreadable)
    ]
    return Measured(sorted(rows, key=lambda row: row["image_index"]), streams)


class _PlacedWriter(KeptPictureWriter):
    """Keeps pictures of the readable images; ``places`` are the positions of these in the shard."""

    def __init__(self, job: MeasureJob, places: Sequence[int]) -> None:
        super().__init__(job.shard, {**job.origin, "machine": machine()})
        self._places = places

    def keep(self, offset: int, point_index: int, row: Mapping[str, Any], image_uint8: np.ndarray) -> None:
        super().keep(self._places[offset], point_index, row, image_uint8)

    def discard(self, offset: int) -> None:
        super().discard(self._places[offset])


def _keeper(job: MeasureJob, places: Sequence[int]) -> KeptPictureWriter | None:
    return _PlacedWriter(job, places) if job.shard.keep_reconstructions else None


def _scores(job: MeasureJob, worker: Worker, readable: Mapping[int, np.ndarray]) -> PictureScores | None:
    """Computes metrics of pictures when they are decoded; None if no metrics are requested."""
    if not job.metrics:
        return None
    process = worker.keep(("metrics", job.metrics), lambda: MetricProcess(job.metrics))
    indices = [job.shard.start + offset for offset in readable]
    return PictureScores(process, indices, list(readable.values()))


def measured_shard(job: MeasureJob, measured: Measured, keeper: KeptPictureWriter | None = None) -> MeasuredShard:
    """The files of a shard, from its measurements."""
    shard, codec_setting = job.shard, job.shard.codec_setting
    shared = {
        "dataset": shard.dataset,
        "fingerprint": shard.fingerprint,
        "codec": codec_setting.name,
        "codec_version": codec_setting.version,
        "setting": codec_setting.setting,
        "rate_kind": RATE_IDEAL if codec_setting.ideal else RATE_FILE,
    }
    rows = [{**shared, **row, **_place(shard, row["image_index"])} for row in measured.rows]
    for row in rows:
        row["original_changes"] = job.original_changes.get(row["image_index"])
    origin = {**job.origin, "machine": machine()}
    schema = with_identity(with_provenance(ROWS, origin), shard.identity(KIND_ROWS))
    table = pa.Table.from_pylist(rows, schema=schema)
    streams = to_parquet(_streams(shard, measured, origin))
    if keeper is None:
        keeper = _keeper(job, [])
    return MeasuredShard(to_parquet(table), streams, count_images(table), None if keeper is None else keeper.finish())


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
