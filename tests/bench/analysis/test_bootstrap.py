"""Guards the bootstrap intervals: against closed forms and an independent implementation, and with images left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from uqdm.bench.analysis.bootstrap import (
    N_RESAMPLES,
    column_means,
    interval_around,
    mean_intervals,
    mean_of,
    resample_counts,
)

FINITE = st.floats(allow_nan=True, allow_infinity=False)


def test_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).gamma(2, 3, size=(40, 3))
    _, low, high = mean_intervals(values)
    for column in range(3):
        independent = scipy.stats.bootstrap(
            (values[:, column],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        # The 2.5 % quantile of B normal values has a standard error of sd x sqrt(.025 x .975 / B) / density(quantile)
        # = 2.67 sd / sqrt(B); four of them bound the chance of a false alarm at 1 in 10,000.
        error = 4 * 2.67 * values[:, column].std() / math.sqrt(40) * math.hypot(N_RESAMPLES**-0.5, 20_000**-0.5)
        assert low[column] == pytest.approx(independent.low, abs=error)
        assert high[column] == pytest.approx(independent.high, abs=error)


def test_two_images_agree_with_the_closed_form() -> None:
    """A resample of two images has one of them twice (1/4 each) or both (1/2): the quantiles are the two values."""
    _, low, high = mean_intervals(np.array([[1.0], [3.0]]))
    assert (low[0], high[0]) == (1.0, 3.0)


def test_equal_values_have_an_interval_of_no_width() -> None:
    for n in (2, 3, 12, 50, 1017):
        values = np.random.default_rng(n).random((1, 40)).repeat(n, axis=0)
        for found in mean_intervals(values, n_resamples=100):
            np.testing.assert_array_equal(found, values[0])


@given(values=arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FINITE))
@settings(deadline=None, max_examples=300)
def test_an_interval_contains_its_mean_and_stays_among_the_values(values: np.ndarray) -> None:
    found = mean_intervals(values, n_resamples=20)
    for column, mean, low, high in zip(values.T, *found, strict=True):
        there = column[~np.isnan(column)]
        assert np.isnan(mean) == (not len(there))
        assert np.isnan(low) == np.isnan(high) == (len(there) < 2)
        if len(there):
            assert there.min() <= mean <= there.max()
        if len(there) >= 2:
            assert there.min() <= low <= mean <= high <= there.max()


def test_a_tiny_and_a_huge_value_have_a_mean_within_their_range() -> None:
    """Columns with huge values are scaled down before they are added up: there the tiny value underflows to zero."""
    values = np.array([[1e300], [1.2e-307]])
    (mean,), (low,), (high,) = mean_intervals(values, n_resamples=20)
    assert (low, high) == (1.2e-307, 1e300)
    assert low < mean < high


@given(value=st.floats(allow_nan=False), figures=st.lists(FINITE, min_size=1, max_size=9))
def test_an_interval_of_other_figures_contains_the_figure_too(value: float, figures: list[float]) -> None:
    low, high = interval_around(value, np.array(figures))
    assert (low <= value <= high) or np.isnan([low, high]).all()


def test_a_mean_of_many_images_is_right_to_the_last_bits() -> None:
    values = np.random.default_rng(5).lognormal(0, 2, 2_000_000)
    exact = math.fsum(values) / len(values)
    assert mean_of(values) == pytest.approx(exact, rel=1e-14)
    (mean,), (low,), (high,) = mean_intervals(values[:, None], n_resamples=5)
    assert low <= mean == mean_of(values) <= high


def test_means_of_columns_that_leave_images_out_agree_with_numpy() -> None:
    values = np.random.default_rng(6).normal(size=(30, 4))
    values[values > 1] = np.nan
    np.testing.assert_allclose(column_means(values), np.nanmean(values, axis=0), rtol=1e-13)


def test_images_are_drawn_jointly() -> None:
    column = np.random.default_rng(0).normal(size=30)
    _, low, high = mean_intervals(np.stack([column, column + 5], axis=1))
    np.testing.assert_allclose([low[1], high[1]], [low[0] + 5, high[0] + 5], rtol=0, atol=1e-14)


def test_a_column_that_leaves_images_out_is_the_mean_of_those_drawn() -> None:
    """Against a plain loop over the same resamples."""
    values = np.random.default_rng(8).normal(10, 2, size=(9, 1))
    values[[2, 5, 6]] = np.nan
    means = []
    for counts in resample_counts(9, N_RESAMPLES, seed=0):
        for count in counts:
            drawn = np.repeat(values[:, 0], count)
            if not np.isnan(drawn).all():
                means.append(np.nanmean(drawn))
    _, low, high = mean_intervals(values)
    np.testing.assert_allclose([low[0], high[0]], np.quantile(means, [0.025, 0.975]), rtol=1e-14)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=(20, 2))
    np.testing.assert_array_equal(mean_intervals(values), mean_intervals(values))
    assert (mean_intervals(values, seed=1).low != mean_intervals(values).low).all()


def test_a_single_image_has_no_interval() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan]])
    for found, mean in ((mean_intervals(values), [1, np.nan]), (mean_intervals(np.ones((1, 2))), [1, 1])):
        np.testing.assert_array_equal(found.mean, mean)
        assert np.isnan([found.low, found.high]).all()


def test_no_values_are_no_error() -> None:
    assert [one.shape for one in mean_intervals(np.empty((0, 3)))] == [(3,)] * 3
    assert [one.shape for one in mean_intervals(np.empty((3, 0)))] == [(0,)] * 3


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_intervals(np.array([[math.inf], [1.0]]))


def test_every_resample_draws_as_many_images_as_there_are() -> None:
    counts = np.concatenate(list(resample_counts(7, 300, seed=4)))
    assert counts.shape == (300, 7)
    assert (counts.sum(axis=1) == 7).all()
