"""The rate at which curves are compared in one figure: that which most of them reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from uqdm.bench.analysis.curves import Curve


def shared_rate(drawn: Sequence[Curve], usual_bpp: float, reaches: Callable[[Curve, float], bool]) -> float:
    """The rate in bits per pixel that most curves reach; of several the one nearest to ``usual_bpp`` by ratio.

    The usual rate and the rates of all points are considered. NaN if no curve reaches any of them.
    """
    points = [float(rate) for curve in drawn for rate in curve.points_with_bits.rate_bpp if rate > 0]
    rates = [rate for rate in dict.fromkeys([usual_bpp, *sorted(points)]) if np.isfinite(rate)]
    counts = {rate: sum(reaches(curve, rate) for curve in drawn) for rate in rates}
    if not any(counts.values()):
        return float("nan")
    return max(rates, key=lambda rate: (counts[rate], -abs(np.log(rate / usual_bpp)), -rate))
