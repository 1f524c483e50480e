"""The base class of all jobs on a shard: the codec that they load, their label and images, and their time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from uqdm.bench.execute.job import Done
from uqdm.bench.progress.slowest_shards import ShardTiming
from uqdm.bench.run.shards import Shard


@dataclass(frozen=True)
class ShardJob:
    """A :class:`~uqdm.bench.execute.job.Job` on the images of a shard, whose codec a worker loads."""

    shard: Shard
    item = "image"

    @property
    def loads(self) -> tuple[str, ...]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return self.shard.codec_setting.name, self.shard.codec_setting.setting

    @property
    def label(self) -> str:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        shard = self.shard
        images = f"images {shard.start} to {shard.stop - 1}" if self.n_items > 1 else f"image {shard.image_ids[0]}"
        return f"{':'.join(self.loads)} {images}".replace(": ", " ")

    @property
    def n_items(self) -> int:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return len(self.shard.image_ids)

    @property
    def inputs(self) -> range | None:
        """The shard's original images."""
        return range(self.shard.start, self.shard.stop)

    def prepared(self) -> Self:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return self

    def split(self) -> list[Self]:
        """See :class:`~uqdm.bench.execute.job.Job`."""
        return [self.on(shard) for shard in self.shard.alone()]

    def on(self, shard: Shard) -> Self:
        """The same job on a part of its shard."""
        return replace(self, shard=shard)


def shard_timing(shard: Shard, done: Done) -> ShardTiming:
    """How long a job on a shard took, as progress shows it."""
    setting = shard.codec_setting
    return ShardTiming(setting.name, setting.setting, shard.start, shard.stop, done.seconds, done.host, done.tries)
