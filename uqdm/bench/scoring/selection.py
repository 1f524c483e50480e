"""Selects the pictures and patches for set metrics: without a GPU, features take a tenth of a second for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uqdm.option_fields import check_bounds, from_section, option

if TYPE_CHECKING:
    from uqdm.bench.metrics import SetMetric


@dataclass(frozen=True)
class SetMetricBounds:
    """Bounds on what set metrics are computed on; of a chosen setting, all points and reconstructions are used."""

    images: int | None = option(
        32,
        "Images for set metrics, spread evenly over the data set",
        flag="--set-images",
        none="all",
        minimum=2,
    )
    settings: int | None = option(
        4,
        "Settings of each codec for set metrics, spread evenly over its sweep, ends included",
        flag="--set-settings",
        none="all",
        minimum=1,
    )
    patches: int | None = option(
        48,
        "Patches for set metrics of patches, spread evenly over images and positions",
        flag="--set-patches",
        none="all",
        minimum=2,
    )
    least: int | None = option(
        None,
        "Fewest images or patches that a set metric is computed on",
        flag="--set-least",
        none="as each metric declares",
        minimum=2,
    )

    def __post_init__(self) -> None:
        check_bounds(self)

    def image_indices(self, n_images: int) -> list[int]:
        """The chosen images of a data set, in order."""
        return evenly(n_images, self.images)

    def chosen_settings(self, sweep: Sequence[str]) -> set[str]:
        """The chosen settings of a codec, from all in the order of its sweep."""
        return {sweep[index] for index in evenly(len(sweep), self.settings)}

    def too_few(self, metric: SetMetric, n_items: int) -> str | None:
        """Why ``metric`` means too little for a set of ``n_items``, and the remedy; None if they are enough.

        >>> from uqdm.bench.metrics import all_set_metrics
        >>> metric = next(one for one in all_set_metrics() if one.meaningful_set == 16)
        >>> SetMetricBounds(least=20).too_few(metric, 3)
        '3 images, at least 20 needed; use --set-least 3 to compute it'
        >>> SetMetricBounds().too_few(metric, 16)
        """
        least = metric.meaningful_set if self.least is None else self.least
        if n_items >= least:
            return None
        why = f" ({metric.meaningful_reason})" if metric.meaningful_reason and self.least is None else ""
        return f"{n_items} {metric.items}, at least {least} needed; use --set-least {n_items} to compute it{why}"


def bounds_of_run(given: Mapping[str, Any] | None, name: str) -> SetMetricBounds | None:
    """Bounds of a single run, None for None: without ``images`` or ``settings`` all of them, others at their defaults.

    Messages of ValueErrors begin with ``name``.

    >>> bounds_of_run({"images": 200}, "runs: demo")
    SetMetricBounds(images=200, settings=None, patches=48, least=None)
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
