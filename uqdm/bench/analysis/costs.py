"""What codecs cost at one quality, and which of them no other beats in both rate and cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uqdm.bench.analysis.curves import Curve

COSTS = ("encode_ms", "decode_ms", "macs_per_pixel", "peak_memory_bytes")
"""Columns of the summary that codecs are compared by beside their rate."""


@dataclass(frozen=True)
class CostPoint:
    """A curve at one quality: its rate in bits per pixel, and a cost in its unit."""

    label: str
    rate_bpp: float
    cost: float


def timed(drawn: Iterable[Curve], column: str) -> str:
    """The column that a time is taken from: the median of its rounds if all curves with times have it.

    >>> import pandas as pd
    >>> points = pd.DataFrame({"rate_bpp": [1.0], "decode_ms": [5.0], "decode_ms_median": [4.0]})
    >>> timed([Curve("jpeg", "jpeg", points)], "decode_ms")
    'decode_ms_median'
    """
    median = f"{column}_median"
    known = [points[points[column].notna()] for points in (one.points_with_bits for one in drawn if not one.ideal)]
    known = [points for points in known if len(points)]
    return median if known and all(median in one and one[median].notna().all() for one in known) else column


def cost_points(drawn: Iterable[Curve], column: str, psnr_db: float) -> list[CostPoint]:
    """The curves that reach a PSNR and have the cost there. Ideal codecs are left out: their rates are of no file."""
    found = [
        CostPoint(curve.label, curve.bpp_at(psnr_db), curve.cost_at(column, psnr_db))
        for curve in drawn
        if not curve.ideal
    ]
    return [point for point in found if math.isfinite(point.rate_bpp) and math.isfinite(point.cost)]


def pareto_front(points: Sequence[CostPoint]) -> list[CostPoint]:
    """The points that no other dominates, cheapest first.

    One point dominates another if it is not worse in rate and in cost, and better in one of the two (Pareto 1906).

    >>> points = [CostPoint(*one) for one in (("a", 2.0, 1.0), ("b", 1.0, 5.0), ("c", 1.5, 6.0), ("d", 2.0, 2.0))]
    >>> [point.label for point in pareto_front(points)]
    ['a', 'b']
    """
    front = [one for one in points if not any(_dominates(other, one) for other in points)]
    return sorted(front, key=lambda point: (point.cost, point.rate_bpp, point.label))


def _dominates(one: CostPoint, other: CostPoint) -> bool:
    first, second = (one.rate_bpp, one.cost), (other.rate_bpp, other.cost)
    return first != second and first[0] <= second[0] and first[1] <= second[1]
