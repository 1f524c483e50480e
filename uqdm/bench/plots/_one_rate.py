"""The rate at which curves are compared in one figure: that which most of them reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def shared_rate(
    rates_bpp: Sequence[np.ndarray], usual_bpp: float, reaches: Callable[[np.ndarray, float], bool]
) -> float:
    """The rate in bits per pixel that most curves reach; of several the one nearest to ``usual_bpp`` by ratio.

    ``rates_bpp`` are the rates of the points of each curve, and ``reaches`` says whether such a curve reaches a rate.
    The usual rate and the rates of all points are considered. NaN if no curve reaches any of them.

    >>> spans = lambda rates, rate: rates.min() <= rate <= rates.max()
    >>> shared_rate([np.array([1.0, 4.0]), np.array([2.0, 8.0]), np.array([32.0, 64.0])], 16.0, spans)
    4.0
    """
    points = sorted({float(rate) for rates in rates_bpp for rate in rates if rate > 0})
    choices = [rate for rate in dict.fromkeys([usual_bpp, *points]) if np.isfinite(rate)]
    counts = {rate: sum(reaches(rates, rate) for rates in rates_bpp if len(rates)) for rate in choices}
    if not any(counts.values()):
        return float("nan")
    return max(choices, key=lambda rate: (counts[rate], -abs(np.log(rate / usual_bpp)), -rate))
