"""The job of one round of timing on a shard: it is encoded and decoded again, and only its times are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uqdm.bench.evaluation.measure import measure_images, warm_up
from uqdm.bench.evaluation.measure_job import make_codecs
from uqdm.bench.evaluation.original_images import OriginalImage
from uqdm.bench.evaluation.shard_job import ShardJob
from uqdm.bench.execute.job import NotLoaded
from uqdm.bench.execute.worker import Worker, limit_threads
from uqdm.bench.schema import STATUS_OK
from uqdm.plugins import contained
from uqdm.text import error_line


@dataclass(frozen=True)
class PictureTime:
    """Milliseconds of one round: to encode the stream of an image, and to decode it to one picture."""

    image_index: int
    point: str
    reconstruction: str
    encode_ms: float
    decode_ms: float


@dataclass(frozen=True)
class TimingJob(ShardJob):
    """Measures the times of the images of a shard once, as a :class:`MeasureJob` does; images that fail have none."""

    def run(self, worker: Worker, inputs: Sequence[OriginalImage]) -> list[PictureTime] | NotLoaded:
        """Encodes and decodes every image, after a warm-up: other codecs ran in this worker since its last job."""
        readable = {offset: image.copy() for offset, image in enumerate(inputs) if isinstance(image, np.ndarray)}
        if not readable:
            return []
        images = list(readable.values())
        setting = self.shard.codec_setting
        key = ("timed codec", setting.name, setting.setting)
        try:
            with contained():
                codecs = worker.keep(key, lambda: make_codecs(setting), alone=setting.holds_model)
                limit_threads(worker.threads)
        except Exception as error:
            return NotLoaded(error_line(error))
        warm_up(*codecs, images[0])
        places = [self.shard.start + offset for offset in readable]
        return [
            PictureTime(
                places[row["image_index"]], row["point"], row["reconstruction"], row["encode_ms"], row["decode_ms"]
            )
            for row in measure_images(*codecs, images).rows
            if row["status"] == STATUS_OK and row["encode_ms"] is not None
        ]

    def merge(self, results: Sequence[list[PictureTime]]) -> list[PictureTime]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return [time for part in results for time in part]

    def fail(self, inputs: Sequence[OriginalImage], reason: str) -> list[PictureTime]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return []
