"""The plan of an evaluation: the lazily generated shards of each codec, and which of them are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from uqdm.bench.evaluation.context import Context
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.shards import Shard, shard_at, split
from uqdm.text import counted

_UNKNOWN = -1


class CodecPlan:
    """The shards of one codec. Of each shard, two numbers are in memory: images that are ok, and that failed."""

    def __init__(self, context: Context, name: str, codec_settings: Sequence[CodecSetting]) -> None:
        self.name, self.codec_settings = name, codec_settings
        self._context = context
        self._runnable = [codec_setting for codec_setting in codec_settings if codec_setting.missing is None]
        self._n_ranges = -(-len(context.dataset) // context.shard_size)
        self._known = np.full((len(self._runnable), self._n_ranges, 2), _UNKNOWN, np.int32)

    def find_stored(
        self, *, retry_failed: bool = False, is_complete: Callable[[Shard], bool] = lambda shard: True
    ) -> None:
        """Finds the stored shards that are complete; with ``retry_failed``, one with failed images is missing."""
        for shard in self.shards():
            counts = self._context.store.counts(shard)
            if counts is not None and not (retry_failed and counts["failed"]) and is_complete(shard):
                self.mark_stored(shard, counts)

    def mark_stored(self, shard: Shard, counts: Counter[str]) -> None:
        """Notes that a shard is stored."""
        self._known[self._place(shard)] = counts["ok"], counts["failed"]

    def shards(self, codec_setting: CodecSetting | None = None) -> Iterator[Shard]:
        """All shards, or those of one setting, in the order of settings and images."""
        context = self._context
        for one in self._runnable:
            if codec_setting is None or one is codec_setting:
                yield from split(context.dataset, one, context.shard_size, context.kept)

    def missing(self) -> Iterator[Shard]:
        """Shards to measure: by range of images, so that images are read once; for models, by setting."""
        todo = np.argwhere(self._known[..., 0] == _UNKNOWN)  # settings first
        if not self.holds_model:
            todo = todo[np.argsort(todo[:, 1], kind="stable")]
        for setting, number in todo:
            yield self._shard(self._runnable[setting], int(number))

    def _shard(self, codec_setting: CodecSetting, number: int) -> Shard:
        context, size = self._context, self._context.shard_size
        return shard_at(context.dataset, codec_setting, number * size, size, context.kept)

    @property
    def n_shards(self) -> int:
        """The number of shards."""
        return self._known.shape[0] * self._known.shape[1]

    @property
    def n_missing(self) -> int:
        """The number of shards to measure."""
        return int((self._known[..., 0] == _UNKNOWN).sum())

    @property
    def n_images(self) -> int:
        """The number of images x settings."""
        return len(self._runnable) * len(self._context.dataset)

    def counts(self, shard: Shard) -> Counter[str] | None:
        """Images of a shard by status; None if the shard is missing."""
        ok, failed = self._known[self._place(shard)].tolist()
        return None if ok == _UNKNOWN else Counter(ok=ok, failed=failed)

    def totals(self) -> Counter[str]:
        """Images x settings in stored shards, by status."""
        ok, failed = np.maximum(self._known, 0).sum((0, 1), np.int64).tolist()
        return Counter(ok=ok, failed=failed)

    def _place(self, shard: Shard) -> tuple[int, int]:
        settings = [codec_setting.setting for codec_setting in self._runnable]
        return settings.index(shard.codec_setting.setting), shard.start // self._context.shard_size

    @property
    def title(self) -> str:
        """The codec's name, and the number of its settings."""
        return f"{self.name} ({counted(len(self.codec_settings), 'setting')})"

    @property
    def holds_model(self) -> bool:
        """Whether a worker has to load a model for it."""
        return any(codec_setting.holds_model for codec_setting in self.codec_settings)

    @property
    def uses_gpu(self) -> bool:
        """Whether it computes on a GPU where there is one."""
        return any(codec_setting.uses_gpu for codec_setting in self.codec_settings)
