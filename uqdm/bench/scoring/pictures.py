"""The job of scoring pictures: decodes a shard's stored streams in a worker, and computes metrics of each picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from uqdm.bench import checked_calls
from uqdm.bench.checked_calls import MeasurementError
from uqdm.bench.evaluation.original_images import OriginalImage, Unreadable
from uqdm.bench.evaluation.shard_job import ShardJob
from uqdm.bench.execute.worker import Worker
from uqdm.bench.file_identity import DAMAGED
from uqdm.bench.metrics import Metric, is_of_another_package
from uqdm.bench.run.decoding import DecodeFault, PictureName, StreamDecoder, decode_fault
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.score_store import PictureKey, Score
from uqdm.bench.run.shard_files import StoredStream
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.stored_streams import StreamDamagedError
from uqdm.text import error_line, one_line

STREAMS_GONE = "streams were not kept; evaluate again with --streams (keep_streams: true) to score it"
_MEASURE_AGAIN = "evaluate again, which measures its shard anew, then score"


@dataclass(frozen=True)
class Streams:
    """A shard's coded files: their store and, after :meth:`read`, the files that a job needs.

    ``faults`` has the reasons for files that cannot be decoded, by index of the image.
    """

    store: ShardStore
    shard: Shard
    streams: Mapping[int, StoredStream] = field(default_factory=dict)
    faults: Mapping[int, str] = field(default_factory=dict)

    def read(self, image_indices: set[int]) -> Self:
        """A copy with the stored files of these images."""
        try:
            found = self.store.read_streams(self.shard, image_indices)
        except FileNotFoundError:
            return self
        except DAMAGED as error:
            reason = f"its coded file cannot be read: {error_line(error)}; {_MEASURE_AGAIN}"
            return replace(self, faults=dict.fromkeys(image_indices, reason))
        streams = {index: one for index, one in found.items() if isinstance(one, StoredStream)}
        damaged = {index: one for index, one in found.items() if isinstance(one, StreamDamagedError)}
        faults = {index: f"{error}; {_MEASURE_AGAIN}" for index, error in damaged.items()}
        return replace(self, streams=streams, faults=faults)


@dataclass(frozen=True)
class Scored:
    """Result of scoring a picture: scores by metric, and the reasons for missing scores.

    ``fault`` says that the picture could not be decoded here, or has other pixels than when it was evaluated.
    """

    picture: PictureKey
    scores: Mapping[str, Score] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True)
class ScoreJob(ShardJob):
    """Computes ``metrics`` of ``pictures`` of a shard, where the images are large enough for them.

    ``is_first`` says that no other job scores pictures of the same shard before it.
    """

    source: Streams
    pictures: tuple[PictureKey, ...]
    metrics: tuple[Metric, ...]
    is_first: bool = True

    def apart(self) -> Iterator[Self]:
        """Splits the job: each metric of another package has its own job, since it may crash or hang."""
        own = tuple(metric for metric in self.metrics if not is_of_another_package(metric))
        others = [(metric,) for metric in self.metrics if is_of_another_package(metric)]
        for number, metrics in enumerate([own, *others] if own else others):
            yield replace(self, metrics=metrics, is_first=number == 0)

    def prepared(self) -> Self:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return replace(self, source=self.source.read({picture.image_index for picture in self.pictures}))

    def run(self, worker: Worker, inputs: Sequence[OriginalImage]) -> list[Scored]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        scored = []
        for picture, decoded in decoded_pictures(worker, self.source, self.pictures):
            if isinstance(decoded, str):
                scored.append(Scored(picture, fault=decoded))
            else:
                scored.append(self._score(picture, inputs[picture.image_index - self.shard.start], decoded))
        return scored

    def _score(self, picture: PictureKey, original: OriginalImage, decoded: np.ndarray) -> Scored:
        if isinstance(original, Unreadable):
            return Scored(picture, reasons={metric.name: f"its original {original.reason}" for metric in self.metrics})
        scores: dict[str, Score] = {}
        reasons: dict[str, str] = {}
        sha256 = picture_sha256(decoded)
        for metric in self.metrics:
            if min(original.shape[:2]) < metric.smallest_side:
                continue
            try:
                scores[metric.name] = Score(sha256, checked_calls.score(metric, original, decoded))
            except MeasurementError as error:
                reasons[metric.name] = one_line(str(error))
            except Exception as error:  # an error of one metric must not affect the others
                reasons[metric.name] = f"failed with {error_line(error)}"
        return Scored(picture, scores, reasons)

    def on(self, shard: Shard) -> Self:
        """See :class:`~uqdm.bench.evaluation.shard_job.ShardJob`."""
        pictures = tuple(one for one in self.pictures if shard.start <= one.image_index < shard.stop)
        return replace(self, shard=shard, pictures=pictures)

    def merge(self, results: Sequence[list[Scored]]) -> list[Scored]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return [scored for part in results for scored in part]

    def fail(self, inputs: Sequence[OriginalImage], reason: str) -> list[Scored]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        if not all(map(is_of_another_package, self.metrics)):
            return [Scored(picture, fault=reason) for picture in self.pictures]
        reasons = dict.fromkeys((metric.name for metric in self.metrics), one_line(reason))
        return [Scored(picture, reasons=reasons) for picture in self.pictures]


def decoded_pictures(
    worker: Worker, source: Streams, pictures: Sequence[PictureKey]
) -> Iterator[tuple[PictureKey, np.ndarray | str]]:
    """Each of ``pictures`` decoded from its stream, uint8 [H, W, 3], or the reason why it could not be.

    The hash of a picture must be that of the evaluated one (see :class:`~uqdm.bench.run.decoding.StreamDecoder`).
    """
    codec = source.shard.codec_setting
    try:
        decoder = worker.keep(
            ("decoder", codec.name, codec.setting),
            lambda: StreamDecoder.make(codec.name, codec.parameters, codec.version),
            alone=codec.holds_model,
        )
    except Exception as error:
        reason = decode_fault(error).reason
        yield from ((picture, reason) for picture in pictures)
        return
    by_image: dict[int, dict[PictureName, PictureKey]] = {}
    for picture in pictures:
        by_image.setdefault(picture.image_index, {})[picture.point, picture.reconstruction] = picture
    for index, wanted in by_image.items():
        yield from _decode_image(decoder, source, index, wanted)


def _decode_image(
    decoder: StreamDecoder, source: Streams, image_index: int, wanted: Mapping[PictureName, PictureKey]
) -> Iterator[tuple[PictureKey, np.ndarray | str]]:
    stream = source.streams.get(image_index)
    if stream is None:
        reason = source.faults.get(image_index, STREAMS_GONE)
        yield from ((picture, reason) for picture in wanted.values())
        return
    measured_sha256 = {name: picture.row_sha256 for name, picture in wanted.items()}
    for name, decoded in decoder.pictures(stream.stream, measured_sha256, stream.found):
        yield wanted[name], decoded.reason if isinstance(decoded, DecodeFault) else decoded
