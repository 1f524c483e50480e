"""Selects the pictures for set metrics: without a GPU, features take a tenth of a second per picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uqdm.option_fields import check_bounds, from_section, option


@dataclass(frozen=True)
class SetMetricBounds:
    """Bounds on images and settings for set metrics; of a chosen setting, all points and reconstructions are used."""

    images: int | None = option(
        64,
        "Images for set metrics, spread evenly over the data set",
        flag="--set-images",
        none="all",
        minimum=2,
    )
    settings: int | None = option(
        5,
        "Settings of each codec for set metrics, spread evenly over its sweep, ends included",
        flag="--set-settings",
        none="all",
        minimum=1,
    )

    def __post_init__(self) -> None:
        check_bounds(self)

    def image_indices(self, n_images: int) -> list[int]:
        """The chosen images of a data set, in order."""
        return evenly(n_images, self.images)

    def chosen_settings(self, sweep: Sequence[str]) -> set[str]:
        """The chosen settings of a codec, from all in the order of its sweep."""
        return {sweep[index] for index in evenly(len(sweep), self.settings)}


def bounds_of_run(given: Mapping[str, Any] | None, name: str) -> SetMetricBounds | None:
    """Bounds of a single run; a bound that is left out is unlimited; None for None.

    Messages of ValueErrors begin with ``name``.

    >>> bounds_of_run({"images": 200}, "runs: demo")
    SetMetricBounds(images=200, settings=None)
    """
    return None if given is None else from_section(SetMetricBounds, {"images": None, "settings": None, **given}, name)


def evenly(count: int, wanted: int | None) -> list[int]:
    """At most ``wanted`` of the indices 0 to ``count`` - 1, evenly spread, both ends included (for one: the middle).

    >>> evenly(9, 3), evenly(4, 10), evenly(9, 1), evenly(3, None)
    ([0, 4, 8], [0, 1, 2, 3], [4], [0, 1, 2])
    """
    if wanted is None or wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [(count - 1) // 2]
    return [round(index * (count - 1) / (wanted - 1)) for index in range(wanted)]
