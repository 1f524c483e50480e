"""Which metrics a run computes, and why it does not compute the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ray

from uqdm.bench.metrics import (
    Metric,
    SetMetric,
    all_metrics,
    check_names,
    fetch_fault,
    is_of_another_package,
    lack_of,
)
from uqdm.plugins import contained
from uqdm.text import error_line

ALWAYS = ("mse", "psnr_db")
"""Metrics that are always computed: summaries need them, and they take little time."""


@dataclass(frozen=True)
class MetricChoice:
    """The requested metrics: ``names``, or all if None. Raises ValueError for an unknown name.

    >>> MetricChoice(("ssim",)).asks_for("ssim"), MetricChoice(("ssim",)).asks_for("lpips")
    (True, False)
    """

    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_names(self.names or ())

    def asks_for(self, name: str) -> bool:
        """Whether the metric of that name is to be computed."""
        return self.names is None or name in self.names or name in ALWAYS

    def fetch(self, say: Callable[[str], None]) -> None:
        """Downloads what metrics of single images lack on this machine; ``say`` gets a line if that fails."""
        for metric in all_metrics():
            if self.asks_for(metric.name) and lack_of(metric) is not None:
                fault = fetch_fault(metric)
                if fault is not None:
                    say(f"could not fetch what {metric.name} needs: {fault}")

    def lack(self, metric: Metric | SetMetric) -> str | None:
        """Why a metric is not computed at all; None if it is."""
        if not self.asks_for(metric.name):
            return "not asked for"
        return lack_of(metric) or _cannot_travel(metric)

    def lacks(self, metrics: Sequence[Metric | SetMetric]) -> dict[str, str]:
        """For each of these metrics that is not computed, why."""
        found = {metric.name: self.lack(metric) for metric in metrics}
        return {name: reason for name, reason in found.items() if reason is not None}

    def states(self) -> dict[str, str]:
        """For each metric of single images its version, or why it is not computed: what rows depend on."""
        lacks = self.lacks(all_metrics())
        return {metric.name: lacks.get(metric.name, f"version {metric.version}") for metric in all_metrics()}

    def own(self) -> tuple[str, ...]:
        """The metrics of single images to compute that come with this package, by name."""
        lacks = self.lacks(all_metrics())
        own = [metric for metric in all_metrics() if not is_of_another_package(metric)]
        return tuple(metric.name for metric in own if metric.name not in lacks)


def _cannot_travel(metric: Metric | SetMetric) -> str | None:
    """Why a metric cannot be sent to workers; None if it can."""
    try:
        with contained():
            ray.cloudpickle.dumps(metric)
    except Exception as error:
        return f"it cannot be sent to workers: {error_line(error)}"
    return None
