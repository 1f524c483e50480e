"""Guards BD-rates of single images and ratios of rates: all images at once give what each gives alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import PchipInterpolator

from uqdm.bench.analysis.bd_of_images import (
    ENDS,
    FEW_POINTS,
    LITTLE_OVERLAP,
    NOT_MONOTONIC,
    image_bd_rates,
    log_rate_ratios,
    rate_ratios,
    worst_and_best,
)
from uqdm.bench.analysis.bjontegaard import Direction, Points, bd_rate
from uqdm.bench.analysis.image_values import CurveValues

N = 40
WORDS = {
    FEW_POINTS: "points of finite quality",
    NOT_MONOTONIC: "not monotonic",
    LITTLE_OVERLAP: "overlap",
}
"""The reason that all images share, and a word of that of one image."""


def curves_of_images(n_points: int, seed: int, direction: Direction) -> CurveValues:
    """Curves of 40 images: unordered points, some that are exact or lacking, some curves that turn, or lie far away."""
    generator = np.random.default_rng(seed)
    bpp = 0.2 * np.exp(np.cumsum(generator.uniform(0.3, 0.9, (N, n_points)), axis=1))
    quality = 25 + 6 * np.log2(bpp / 0.2) + generator.normal(size=(N, 1)) + 0.4 * generator.normal(size=(N, n_points))
    quality[::9] += 50 * seed
    quality[4::9, 2] += 20
    quality[generator.uniform(size=quality.shape) < 0.08] = np.nan
    order = generator.permutation(n_points)
    return CurveValues(bpp[:, order], quality[:, order] * (1 if direction == "higher" else -1))


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_each_image_has_the_bd_rate_of_its_own_two_curves(direction: Direction) -> None:
    anchor, curve = curves_of_images(6, 1, direction), curves_of_images(7, 2, direction)
    found = image_bd_rates(anchor, curve, direction)
    reasons = []
    for image in range(N):
        pair = [Points(one.bpp[image], one.quality[image]) for one in (anchor, curve)]
        expected = bd_rate(*pair, direction)
        # The same integrals, of arrays of other shapes.
        assert found.percent[image] == pytest.approx(expected.value, rel=1e-12, nan_ok=True) or expected.reason
        assert (found.reasons[image] is None) == (expected.reason is None)
        if expected.reason is not None:
            assert np.isnan(found.percent[image])
            assert WORDS[found.reasons[image]] in expected.reason
            reasons.append(found.reasons[image])
    assert set(reasons) == WORDS.keys()
    assert len(reasons) < N / 2


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_ratios_are_those_of_geometric_means_at_the_quality(direction: Direction) -> None:
    anchor, curve = curves_of_images(6, 1, direction), curves_of_images(7, 2, direction)
    sign = 1 if direction == "higher" else -1
    levels = [sign * level for level in (30.0, 33.0, 36.0)]
    found = rate_ratios(log_rate_ratios(anchor, curve, levels, direction))
    for place, level in enumerate(levels):
        rates: list[list[float]] = [[], []]
        for image in range(N):
            both = [_rate_at(one.bpp[image], one.quality[image], level, sign) for one in (anchor, curve)]
            if all(both):
                for side, rate in zip(rates, both, strict=True):
                    side.append(float(rate or 0))
        geometric = [np.exp(np.mean(np.log(side))) for side in rates]
        assert found.n[place] == len(rates[0]) > 5
        assert found.ratio[place] == pytest.approx(geometric[1] / geometric[0], rel=1e-12)
        assert found.low[place] < found.ratio[place] < found.high[place]


def _rate_at(bpp: np.ndarray, quality: np.ndarray, level: float, sign: int) -> float | None:
    known = np.isfinite(quality)
    order = np.argsort(bpp[known])
    x, y = sign * quality[known][order], np.log(bpp[known][order])
    if len(x) < 4 or (np.diff(x) <= 0).any() or not x[0] <= sign * level <= x[-1]:
        return None
    return float(np.exp(PchipInterpolator(x, y)(sign * level)))


def test_a_quality_that_no_image_reaches_has_no_ratio() -> None:
    values = curves_of_images(5, 3, "higher")
    found = rate_ratios(log_rate_ratios(values, values, [500.0, float("nan")], "higher"))
    assert found.n.tolist() == [0, 0]
    assert np.isnan(found.ratio).all()


def test_an_image_is_among_the_worst_or_the_best() -> None:
    for n, expected in ((1, (1, 0)), (4, (2, 2)), (7, (4, 3)), (30, (ENDS, ENDS))):
        percent = np.random.default_rng(n).permutation(n) - 10.0
        table = pd.DataFrame({"image_id": [f"{value:g}" for value in percent], "bd_rate_percent": percent})
        table.loc[n] = {"image_id": "without", "bd_rate_percent": np.nan}
        worst, best = ([row["image_id"] for row in side if row] for side in zip(*worst_and_best(table), strict=True))
        assert (len(worst), len(best)) == expected
        ranked = [f"{value:g}" for value in np.sort(percent)]
        assert worst == ranked[::-1][: len(worst)]
        assert best == ranked[: len(best)]
