"""The times of shards, and the slowest of them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 10
"""The number of shards that :class:`SlowestShards` keeps."""


@dataclass(frozen=True)
class ShardTiming:
    """One finished shard: images ``start`` to ``stop`` (excluded) of a codec at a setting.

    ``seconds`` is the time in the worker on ``host``, in the last of ``tries`` attempts.
    """

    codec: str
    setting: str
    start: int
    stop: int
    seconds: float
    host: str
    tries: int = 1

    def __str__(self) -> str:
        """The shard, its time and host, as text.

        >>> str(ShardTiming("jpeg", "quality=50", 100, 150, 2.25, "node3", tries=2))
        'jpeg quality=50, images 100-149: 2.2 s on node3, try 2'
        """
        again = f", try {self.tries}" if self.tries > 1 else ""
        images = f"images {self.start}-{self.stop - 1}" if self.stop - self.start > 1 else f"image {self.start}"
        return f"{' '.join([self.codec, self.setting]).strip()}, {images}: {self.seconds:.1f} s on {self.host}{again}"


class SlowestShards:
    """The slowest of any number of shards, and each codec's mean time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, ShardTiming]] = []
        self._sums: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        self._count = 0

    def add(self, timing: ShardTiming) -> None:
        """Adds a finished shard."""
        count, seconds = self._sums[timing.codec]
        self._sums[timing.codec] = (count + 1, seconds + timing.seconds)
        self._count += 1
        entry = (timing.seconds, -self._count, timing)  # of equal times, the first is kept
        if len(self._heap) < KEPT:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def shards(self) -> list[ShardTiming]:
        """The slowest shards, slowest first."""
        return [timing for *_, timing in sorted(self._heap, reverse=True)]

    def mean_seconds(self, codec: str) -> float:
        """The mean over all added shards of a codec."""
        count, seconds = self._sums[codec]
        return seconds / count

    def lines(self, count: int = 5) -> list[str]:
        """A line for each of the slowest shards."""
        return [f"{timing}; {self._relative(timing)}" for timing in self.shards()[:count]]

    def _relative(self, timing: ShardTiming) -> str:
        mean = self.mean_seconds(timing.codec)
        return f"{timing.seconds / mean if mean else 1:.1f} x the mean of {timing.codec}"

    def to_json(self) -> list[dict[str, Any]]:
        """The slowest shards, for ``evaluation.json`` and ``status.json``."""
        return [
            {**asdict(timing), "mean_seconds_of_codec": round(self.mean_seconds(timing.codec), 3)}
            for timing in self.shards()
        ]
