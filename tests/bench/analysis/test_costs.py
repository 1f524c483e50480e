"""Guards costs at one quality and their Pareto front."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from uqdm.bench.analysis.costs import CostPoint, cost_points, pareto_front, timed
from uqdm.bench.analysis.curves import Curve


def curve_of(label: str, costs: list[float], *, ideal: bool = False) -> Curve:
    points = pd.DataFrame({"rate_bpp": [0.5, 1.0, 2.0], "psnr_db": [28.0, 32.0, 40.0], "encode_ms": costs})
    return Curve(label, label, points, ideal)


def test_costs_are_taken_where_the_rate_is() -> None:
    """34 dB is a quarter of the way from 32 to 40 dB, in log rate and in log cost."""
    found = cost_points([curve_of("a", [1.0, 1.0, 16.0])], "encode_ms", 34)
    assert [point.label for point in found] == ["a"]
    assert found[0].rate_bpp == pytest.approx(2**0.25, rel=1e-12)
    assert found[0].cost == pytest.approx(2.0, rel=1e-12)


def test_a_cost_of_nothing_stays_nothing() -> None:
    assert cost_points([curve_of("a", [0.0, 0.0, 0.0])], "encode_ms", 34)[0].cost == 0
    assert cost_points([curve_of("a", [0.0, 0.0, 8.0])], "encode_ms", 34)[0].cost == pytest.approx(2, rel=1e-12)


def test_curves_without_the_quality_the_cost_or_a_file_are_left_out() -> None:
    drawn = [curve_of("no cost", [1.0, 1.0, np.nan]), curve_of("ideal", [1.0, 1.0, 1.0], ideal=True)]
    assert cost_points(drawn, "encode_ms", 34) == []
    assert cost_points([curve_of("a", [1.0, 1.0, 1.0])], "encode_ms", 41) == []
    assert [point.label for point in cost_points(drawn, "encode_ms", 30)] == ["no cost"]


def test_the_front_is_what_a_weighted_sum_or_a_limit_can_choose() -> None:
    """A point is on the front exactly if it has the least rate among those that cost no more, and is the cheapest."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        values = generator.integers(1, 9, size=(12, 2))  # small numbers, so that some are equal
        points = [CostPoint(f"{n}", float(rate), float(cost)) for n, (rate, cost) in enumerate(values)]
        expected = set()
        for point in points:
            affordable = [other for other in points if other.cost <= point.cost]
            least = min(other.rate_bpp for other in affordable)
            cheapest = min(other.cost for other in affordable if other.rate_bpp == least)
            if (point.rate_bpp, point.cost) == (least, cheapest):
                expected.add(point.label)
        front = pareto_front(points)
        assert {point.label for point in front} == expected
        assert [point.cost for point in front] == sorted(point.cost for point in front)


def test_medians_are_taken_only_if_all_curves_with_times_have_them() -> None:
    found = curve_of("a", [2.0, 2.0, 2.0])
    with_medians = Curve("a", "a", found.points.assign(encode_ms_median=[1.0, 1.0, 1.0]))
    some = Curve("b", "b", found.points.assign(encode_ms_median=[1.0, np.nan, 1.0]))
    untimed = Curve("c", "c", found.points.assign(encode_ms=np.nan, encode_ms_median=np.nan))
    assert timed([with_medians, untimed], "encode_ms") == "encode_ms_median"
    for others in ([found], [some], [some, untimed]):
        assert timed([with_medians, *others], "encode_ms") == "encode_ms"
    assert timed([untimed], "encode_ms") == timed([], "encode_ms") == "encode_ms"
