"""Guards Bjøntegaard deltas: known answers, a published implementation on the paper's curves, every refusal."""

from __future__ import annotations

import itertools
import warnings

import bjontegaard as published_implementation
import numpy as np
import pytest
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator, make_interp_spline

from uqdm.bench.analysis.bjontegaard import (
    MIN_OVERLAP,
    MIN_POINTS,
    Delta,
    Direction,
    Points,
    bd_qualities,
    bd_quality,
    bd_rate,
    bd_rates,
)
from uqdm.bench.analysis.published_curves import published, published_names

BPP = np.array([0.5, 1.0, 2.0, 4.0, 7.0])
PSNR_DB = np.array([28.0, 31.0, 35.5, 40.0, 46.0])
JPEG = Points(BPP, PSNR_DB, "jpeg")


def paper_curves(metric: str) -> list[tuple[str, list[Points]]]:
    """Of each of the paper's data sets its curves with a metric's values."""
    found = []
    for name in published_names():
        rows = published(name)
        found.append(
            (name, [Points(r.bpp.to_numpy(), r[metric].to_numpy(), str(s)) for s, r in rows.groupby("system")])
        )
    return found


@pytest.mark.parametrize("metric", ["psnr_db", "fid"])
def test_a_curve_against_itself_is_zero(metric: str) -> None:
    direction: Direction = "higher" if metric == "psnr_db" else "lower"
    for curve in itertools.chain(*(curves for _, curves in paper_curves(metric))):
        assert bd_quality(curve, curve).value == 0
        rate = bd_rate(curve, curve, direction)
        assert rate.value == 0 or "not monotonic" in str(rate.reason)


@pytest.mark.parametrize(("factor", "percent"), [(1.1, 10.0), (0.5, -50.0), (3.0, 200.0)])
def test_scaled_rates_are_their_factor(factor: float, percent: float) -> None:
    for name, curves in paper_curves("psnr_db"):
        for curve in curves:
            scaled = Points(factor * curve.rate_bpp, curve.quality)
            assert bd_rate(curve, scaled).value == pytest.approx(percent, abs=1e-9), (name, curve.name)


def test_deltas_change_sign_when_curves_are_exchanged() -> None:
    other = Points(0.8 * BPP, PSNR_DB + 0.3)
    there, back = bd_rate(JPEG, other).value, bd_rate(other, JPEG).value
    assert there < 0 < back
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1, rel=1e-12)  # ratios of rates are inverse
    assert bd_quality(JPEG, other).value == pytest.approx(-bd_quality(other, JPEG).value, rel=1e-12)


def test_a_constant_offset_of_quality_is_its_delta() -> None:
    assert bd_quality(JPEG, Points(BPP, PSNR_DB - 0.25)).value == pytest.approx(-0.25, abs=1e-12)


def test_metrics_of_which_lower_values_are_better() -> None:
    """Fewer bits at equal FID are still negative; and so is a lower FID at equal rate."""
    fid = Points(BPP, np.array([90.0, 60.0, 31.0, 10.0, 2.0]))
    cheaper = Points(0.9 * BPP, fid.quality)
    rate = bd_rate(fid, cheaper, "lower")
    assert rate.value == pytest.approx(-10, abs=1e-9)
    assert (rate.low, rate.high) == (2, 90)
    assert bd_quality(fid, cheaper).value < 0
    negated = [Points(one.rate_bpp, -one.quality) for one in (fid, cheaper)]
    assert rate.value == bd_rate(*negated).value


@pytest.mark.parametrize("metric", ["psnr_db", "fid"])
def test_the_published_implementation_agrees_on_the_papers_curves(metric: str) -> None:
    """All pairs of systems with enough overlap. The requirement is 0.1 %; the two differ in the order of additions."""
    direction: Direction = "higher" if metric == "psnr_db" else "lower"
    sign = 1 if direction == "higher" else -1
    compared = 0
    for _, curves in paper_curves(metric):
        for anchor, curve in itertools.permutations(curves, 2):
            rate, quality = bd_rate(anchor, curve, direction), bd_quality(anchor, curve)
            a, c = anchor.usable(), curve.usable()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it wants more overlap than we do
                options = {"method": "pchip", "require_matching_points": False}
                if rate.reason is None:
                    theirs = published_implementation.bd_rate(
                        a.rate_bpp, sign * a.quality, c.rate_bpp, sign * c.quality, **options
                    )
                    assert rate.value == pytest.approx(theirs, rel=1e-9, abs=1e-9), (anchor.name, curve.name)
                    compared += 1
                if quality.reason is None:
                    theirs = published_implementation.bd_psnr(a.rate_bpp, a.quality, c.rate_bpp, c.quality, **options)
                    assert quality.value == pytest.approx(theirs, rel=1e-9, abs=1e-9), (anchor.name, curve.name)
    assert compared > 200


def test_many_pairs_at_once_are_those_one_by_one() -> None:
    generator = np.random.default_rng(0)
    bpp = np.exp(np.log(BPP) + 0.05 * generator.normal(size=(50, 5)))
    quality = PSNR_DB + 0.3 * generator.normal(size=(50, 5))
    rates = bd_rates(bpp[:25], quality[:25], bpp[25:], quality[25:], direction="higher")
    qualities = bd_qualities(bpp[:25], quality[:25], bpp[25:], quality[25:])
    for row in range(25):
        pair = Points(bpp[row], quality[row]), Points(bpp[25 + row], quality[25 + row])
        assert rates[row] == bd_rate(*pair).value
        assert qualities[row] == bd_quality(*pair).value


def test_the_common_interval_and_its_share_of_each_curve_are_reported() -> None:
    delta = bd_rate(JPEG, Points(BPP[1:] * 2, PSNR_DB[1:] + 1))
    assert (delta.low, delta.high) == (32, 46)
    assert (delta.share, delta.anchor_share) == (pytest.approx(14 / 15), pytest.approx(14 / 18))
    rates = bd_quality(JPEG, Points(BPP[1:] * 2, PSNR_DB[1:] + 1))
    assert (rates.low, rates.high) == (2, 7)
    assert rates.anchor_share == pytest.approx(np.log(7 / 2) / np.log(7 / 0.5))


def test_an_exact_point_is_left_out_and_counted() -> None:
    lossless = Points(np.append(BPP, 9.0), np.append(PSNR_DB, np.inf))
    for delta in (bd_rate(JPEG, lossless), bd_quality(JPEG, lossless)):
        assert (delta.value, delta.left_out, delta.reason) == (0, 1, None)


def test_a_point_without_bits_is_left_out() -> None:
    assert bd_rate(JPEG, Points(np.append(0.0, BPP), np.append(10.0, PSNR_DB))).left_out == 1


def test_points_may_come_in_any_order() -> None:
    order = [3, 0, 4, 1, 2]
    assert bd_rate(JPEG, Points(BPP[order], PSNR_DB[order])).value == 0


def refusals(delta: Delta) -> str:
    assert np.isnan(delta.value)
    return str(delta.reason)


def test_the_spread_is_the_range_of_three_interpolations() -> None:
    """On the curves of a paper SciPy's own integrals give the ends; curves that only differ in scale have none."""
    interpolations = (PchipInterpolator, Akima1DInterpolator, lambda x, y: make_interp_spline(x, y, k=1))
    compared = 0
    for _, curves in paper_curves("psnr_db"):
        for anchor, curve in itertools.islice(itertools.permutations(curves, 2), 0, None, 4):
            for delta, axes in (
                (bd_rate(anchor, curve), ("quality", "rate_bpp")),
                (bd_quality(anchor, curve), ("rate_bpp", "quality")),
            ):
                if delta.reason is not None:
                    continue
                lines = [[_logarithm(one.usable(), name) for name in axes] for one in (anchor, curve)]
                low, high = (end([one[0][place] for one in lines]) for end, place in ((max, 0), (min, -1)))
                areas = [[one(*line).integrate(low, high) for line in lines] for one in interpolations]
                found = [(second - first) / (high - low) for first, second in areas]
                found = [100 * (10**one - 1) for one in found] if axes[0] == "quality" else found
                assert delta.spread == pytest.approx((min(found), max(found)), rel=1e-9, abs=1e-9)
                assert delta.spread[0] <= delta.value <= delta.spread[1]
                compared += 1
    assert compared > 50
    same = bd_rate(JPEG, Points(1.1 * BPP, PSNR_DB))
    assert same.spread == pytest.approx((10, 10))
    assert not same.is_uncertain


def _logarithm(points: Points, name: str) -> np.ndarray:
    return np.log10(points.rate_bpp) if name == "rate_bpp" else points.quality


def test_distant_points_make_a_delta_uncertain_and_near_ones_do_not() -> None:
    rate = np.geomspace(0.1, 8, 41)
    anchor = Points(rate, 30 + 8 * np.log2(1 + rate))
    bent = 30 + 8 * np.log2(1 + 1.3 * rate) + 3 * np.tanh(4 * np.log(rate))
    near, far = (Points(rate[::every], bent[::every]) for every in (1, 10))
    for delta in (bd_rate, bd_quality):
        assert not delta(anchor, near).is_uncertain
        assert delta(anchor, far).is_uncertain
    assert bd_rate(anchor, far).spread_percent == np.ptp(bd_rate(anchor, far).spread)


def test_the_points_that_were_left_out_are_named_in_the_reason() -> None:
    few = Points(BPP[:3], PSNR_DB[:3], "webp", left_out="2 points of noise left out")
    reason = "webp has 3 points of finite quality (2 points of noise left out), and 4 are needed"
    assert refusals(bd_rate(JPEG, few)) == reason


def test_too_few_points_are_refused() -> None:
    few = Points(BPP[: MIN_POINTS - 1], PSNR_DB[: MIN_POINTS - 1], "webp")
    assert refusals(bd_rate(JPEG, few)) == "webp has 3 points of finite quality, and 4 are needed"
    assert refusals(bd_quality(few, JPEG)) == "webp has 3 points of finite quality, and 4 are needed"
    exact = Points(BPP, np.array([30.0, np.inf, np.inf, np.inf, np.inf]), "png")
    assert refusals(bd_rate(JPEG, exact)) == "png has 1 point of finite quality, and 4 are needed"


def test_quality_that_falls_is_refused_for_rates_and_fine_for_quality() -> None:
    """No unique rate has a given quality, but each rate has one quality."""
    falling = Points(BPP, np.array([28.0, 31.0, 30.9, 40.0, 46.0]), "webp")
    reason = "not monotonic: the quality of webp does not improve from 1 to 2 bpp"
    assert refusals(bd_rate(JPEG, falling)) == reason
    assert refusals(bd_rate(falling, JPEG)) == reason
    assert bd_quality(JPEG, falling).value < 0
    level = Points(BPP, np.array([28.0, 31.0, 31.0, 40.0, 46.0]), "webp")
    assert refusals(bd_rate(JPEG, level)) == reason
    assert "not monotonic" in refusals(bd_rate(JPEG, JPEG, "lower"))


def test_two_points_of_one_rate_are_refused() -> None:
    twice = Points(np.array([0.5, 1.0, 1.0, 4.0, 7.0]), PSNR_DB, "webp")
    for delta in (bd_rate(JPEG, twice), bd_quality(twice, JPEG)):
        assert refusals(delta) == "two points of webp have the rate 1 bpp"


def test_curves_without_overlap_are_refused() -> None:
    assert refusals(bd_rate(JPEG, Points(BPP, PSNR_DB + 100))) == "the curves do not overlap"
    assert refusals(bd_quality(JPEG, Points(100 * BPP, PSNR_DB))) == "the curves do not overlap"


def test_curves_that_hardly_overlap_are_refused() -> None:
    width = PSNR_DB[-1] - PSNR_DB[0]
    enough = Points(BPP, PSNR_DB + (1 - MIN_OVERLAP) * width - 0.01)
    assert bd_rate(JPEG, enough).reason is None
    reason = refusals(bd_rate(JPEG, Points(BPP, PSNR_DB + (1 - MIN_OVERLAP) * width + 0.01)))
    assert reason == "too little overlap: 24.9 % of the shorter curve, from 41.51 to 46, and 25 % are needed"


def test_a_short_curve_inside_a_long_one_is_enough() -> None:
    inside = Points(np.array([1.0, 1.1, 1.2, 1.3]), np.array([32.0, 32.1, 32.2, 32.3]))
    delta = bd_rate(JPEG, inside)
    assert delta.reason is None
    assert delta.share == 1
    assert delta.anchor_share < 0.02


def test_different_images_are_refused() -> None:
    one, other = (Points(BPP, PSNR_DB, name, f"5-{name}") for name in ("a", "b"))
    with pytest.raises(ValueError, match=r"different images \(fingerprints 5-a and 5-b\)"):
        bd_rate(one, other)
    with pytest.raises(ValueError, match="different images"):
        bd_quality(JPEG, other)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="choose lower or higher"):
        bd_rate(JPEG, JPEG, "up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="as many rates as values"):
        bd_rate(JPEG, Points(BPP[:4], PSNR_DB))


def test_resamples_without_a_delta_are_nan() -> None:
    bpp, quality = np.tile(BPP, (4, 1)), np.tile(PSNR_DB, (4, 1))
    broken = quality.copy()
    broken[1, 2], broken[2, 0] = 30.0, np.nan
    broken[3] += 100
    found = bd_rates(bpp, quality, bpp, broken, direction="higher")
    assert found[0] == 0
    assert np.isnan(found[1:]).all()
    assert np.isnan(bd_qualities(bpp, quality, bpp, broken)).tolist() == [False, False, True, False]
