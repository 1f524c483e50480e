"""Guards the bootstrap intervals: against closed forms and an independent implementation, and with images left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from uqdm.bench.bootstrap import N_RESAMPLES, mean_intervals, resample_counts


def test_agrees_with_scipy() -> None:
    values = np.random.default_rng(3).gamma(2, 3, size=(40, 3))
    low, high = mean_intervals(values)
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
    """Of two images a resample has either twice (1/4 each) or both (1/2): the 2.5 % and 97.5 % quantiles are they."""
    low, high = mean_intervals(np.array([[1.0], [3.0]]))
    assert (low[0], high[0]) == (1.0, 3.0)


def test_equal_values_have_an_interval_of_no_width() -> None:
    low, high = mean_intervals(np.full((50, 1), 0.1))
    assert low[0] == high[0] == pytest.approx(0.1, rel=1e-15)


def test_images_are_drawn_jointly() -> None:
    column = np.random.default_rng(0).normal(size=30)
    low, high = mean_intervals(np.stack([column, column + 5], axis=1))
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
    low, high = mean_intervals(values)
    np.testing.assert_allclose([low[0], high[0]], np.quantile(means, [0.025, 0.975]), rtol=1e-14)


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=(20, 2))
    np.testing.assert_array_equal(mean_intervals(values), mean_intervals(values))
    assert (mean_intervals(values, seed=1)[0] != mean_intervals(values)[0]).all()


def test_a_single_image_has_no_interval() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert np.isnan(mean_intervals(values)).all()
    assert np.isnan(mean_intervals(np.ones((1, 2)))).all()


def test_nothing_to_resample_is_no_error() -> None:
    assert mean_intervals(np.empty((0, 3)))[0].shape == (3,)
    assert mean_intervals(np.empty((3, 0)))[0].shape == (0,)


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_intervals(np.array([[math.inf], [1.0]]))


def test_every_resample_draws_as_many_images_as_there_are() -> None:
    counts = np.concatenate(list(resample_counts(7, 300, seed=4)))
    assert counts.shape == (300, 7)
    assert (counts.sum(axis=1) == 7).all()
