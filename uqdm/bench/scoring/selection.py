"""On which pictures metrics of sets are computed: their features cost a tenth of a second each without a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """Bounds of what metrics of sets are computed on; None is no bound.

    ``images`` are spread evenly over the data set and are the same for all codecs. ``settings`` are spread evenly over
    the sweep of each codec, its ends included; of a chosen setting all points and reconstructions count.
    """

    images: int | None = 64
    settings: int | None = 5

    def __post_init__(self) -> None:
        for name, bound in vars(self).items():
            if bound is not None and bound < 1:
                raise ValueError(f"set metrics, {name}={bound}: must be at least 1, or null for all")

    def image_indices(self, n_images: int) -> list[int]:
        """The chosen images of a data set, in order."""
        return evenly(n_images, self.images)

    def chosen_settings(self, sweep: Sequence[str]) -> set[str]:
        """The chosen settings of a codec, from all in the order of its sweep."""
        return {sweep[index] for index in evenly(len(sweep), self.settings)}


def evenly(count: int, wanted: int | None) -> list[int]:
    """At most ``wanted`` of the indices 0 to ``count`` - 1, evenly spread, both ends included (one: the middle).

    >>> evenly(9, 3), evenly(4, 10), evenly(9, 1), evenly(3, None)
    ([0, 4, 8], [0, 1, 2, 3], [4], [0, 1, 2])
    """
    if wanted is None or wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [(count - 1) // 2]
    return [round(index * (count - 1) / (wanted - 1)) for index in range(wanted)]
