"""Chooses the patches of a set: evenly over images and positions, the same for originals and for every codec."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from uqdm.bench.metrics import Patches, SetMetric
from uqdm.bench.scoring.extraction import WHOLE

_TURN = (5**0.5 - 1) / 2  # multiples of it, modulo 1, leave no large gap, however many there are


class PatchChoice:
    """The patches of the images of a run that metrics of sets are computed on: at most ``most`` of them together.

    ``sizes`` has the height and width of each image by its index. For ``most`` None all patches are taken.
    """

    def __init__(self, sizes: Mapping[int, tuple[int, int]], most: int | None) -> None:
        self._sizes = sizes
        self._most = most
        self._by_name: dict[str, dict[int, tuple[int, ...]]] = {}
        self._counts: dict[tuple[str, tuple[int, int]], int] = {}

    def positions(self, metric: SetMetric, image_index: int) -> tuple[int, ...]:
        """The numbers of an image's chosen patches, in order; for a metric of whole pictures, that of the whole one."""
        if metric.patches is None:
            return WHOLE
        if metric.patches.name not in self._by_name:
            counts = [self._count(metric.patches, size) for size in self._sizes.values()]
            most = None if metric.patches.complete else self._most
            self._by_name[metric.patches.name] = dict(zip(self._sizes, evenly_chosen(counts, most), strict=True))
        return self._by_name[metric.patches.name][image_index]

    def excess(self, metric: SetMetric) -> str | None:
        """Why a metric of all patches is not computed: they are more than ``most``; None if they are not."""
        if metric.patches is None or not metric.patches.complete or self._most is None:
            return None
        total = sum(self._count(metric.patches, size) for size in self._sizes.values())
        if total <= self._most:
            return None
        return f"it takes all {total:,} patches, more than {self._most:,}; use --set-patches 0 to compute it"

    def _count(self, patches: Patches, size: tuple[int, int]) -> int:
        key = (patches.name, size)
        if key not in self._counts:
            self._counts[key] = len(patches.cut(np.zeros((*size, 3), np.uint8)))
        return self._counts[key]


def evenly_chosen(counts: Sequence[int], most: int | None) -> list[tuple[int, ...]]:
    """At most ``most`` of the patches of images with these counts: the chosen numbers of each image, in order.

    Images have shares in proportion to their counts. Within an image, the places that are chosen are spread evenly,
    and the next image continues where it stopped, so that all places occur where each image has a few patches only.

    >>> evenly_chosen([4, 2], None), evenly_chosen([4, 2], 3)
    ([(0, 1, 2, 3), (0, 1)], [(0, 2), (0,)])
    """
    total = sum(counts)
    if most is None or most >= total:
        return [tuple(range(count)) for count in counts]
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]) * most // total
    return [
        tuple(sorted(_spread(count)[number % count] for number in range(start, end)))
        for count, start, end in zip(counts, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


@functools.lru_cache(maxsize=64)
def _spread(count: int) -> list[int]:
    """The numbers 0 to ``count`` - 1 in an order in which any consecutive ones are spread evenly.

    >>> _spread(8)
    [0, 5, 2, 7, 4, 1, 6, 3]
    """
    fractions = np.arange(count) * _TURN % 1
    ranks: list[int] = np.argsort(np.argsort(fractions)).tolist()
    return ranks
