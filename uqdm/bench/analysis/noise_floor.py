"""The noise floor of a set metric: values that real pictures get against other real pictures.

A run scores one half of its originals against the other. Pictures that are as close to the originals as that cannot be
told from real ones by the metric, and their order is chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.metrics import SetMetric
from uqdm.bench.schema import STATUS_REFERENCE

if TYPE_CHECKING:
    import pandas as pd

DEVIATIONS = 2
"""Standard deviations of the metric that count as noise, if it has one: 95 % of normal noise lies within two."""


@dataclass(frozen=True)
class NoiseFloor:
    """The value of the halves of the originals and ``DEVIATIONS`` of its standard deviations; NaN if it is unknown."""

    value: float
    direction: str

    @classmethod
    def of(cls, metric: SetMetric, summary: pd.DataFrame) -> NoiseFloor:
        """The floor of a metric by the summary of one data set."""
        found = summary[(summary.status == STATUS_REFERENCE) & summary[metric.name].notna()]
        if found.empty:
            return cls(np.nan, metric.direction)
        row = found.iloc[0]
        deviation = float(row[metric.spread]) if metric.spread and metric.spread in row else 0.0
        noise = DEVIATIONS * deviation if np.isfinite(deviation) else 0.0
        return cls(float(row[metric.name]) + (noise if metric.direction == "lower" else -noise), metric.direction)

    def worse(self, values: np.ndarray) -> np.ndarray:
        """Which values [K] are worse than the floor, so that they measure quality; all if it is unknown.

        >>> NoiseFloor(0.02, "lower").worse(np.array([0.3, 0.02, -0.01])).tolist()
        [True, False, False]
        >>> NoiseFloor(np.nan, "lower").worse(np.array([0.3, -0.01])).tolist()
        [True, True]
        """
        if np.isnan(self.value):
            return np.ones(len(values), bool)
        return values > self.value if self.direction == "lower" else values < self.value
