"""Guards the integrals and values against SciPy's interpolator, curve by curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from uqdm.bench.analysis import pchip


def random_curves(generator: np.random.Generator, n_points: int) -> tuple[np.ndarray, ...]:
    """200 rows of all shapes: rising, turning, flat in places, evenly and unevenly spaced."""
    x = np.cumsum(generator.gamma(0.5, 1, (200, n_points)) + 1e-3, axis=1)
    y = generator.normal(size=(200, n_points)).round(1)  # rounded, so that neighbours are equal now and then
    y[::2] = np.cumsum(np.abs(y[::2]), axis=1)
    shares = np.sort(generator.uniform(size=(2, 200)), axis=0)
    low, high = x[:, 0] + shares * (x[:, -1] - x[:, 0])
    return x, y, low, high


@pytest.mark.parametrize("n_points", [2, 3, 4, 12])
def test_integrals_are_those_of_scipy(n_points: int) -> None:
    x, y, low, high = random_curves(np.random.default_rng(n_points), n_points)
    expected = [PchipInterpolator(*row[:2]).integrate(*row[2:]) for row in zip(x, y, low, high, strict=True)]
    # Sums of a dozen products in another order: some units in the last place of values of up to 100.
    np.testing.assert_allclose(pchip.integrals(x, y, low, high), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_points", [2, 3, 4, 12])
def test_values_are_those_of_scipy(n_points: int) -> None:
    x, y, low, high = random_curves(np.random.default_rng(n_points), n_points)
    for at in (low, high, x[:, 0], x[:, -1]):
        expected = [float(PchipInterpolator(*row[:2])(row[2])) for row in zip(x, y, at, strict=True)]
        np.testing.assert_allclose(pchip.values(x, y, at), expected, rtol=1e-12, atol=1e-12)


def test_whole_curves_from_end_to_end() -> None:
    x, y, _, _ = random_curves(np.random.default_rng(0), 6)
    expected = [PchipInterpolator(*row).integrate(row[0][0], row[0][-1]) for row in zip(x, y, strict=True)]
    np.testing.assert_allclose(pchip.integrals(x, y, x[:, 0], x[:, -1]), expected, rtol=1e-12, atol=1e-12)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 1), st.floats(0, 1))
def test_the_integral_of_a_straight_line_is_exact(slope: float, offset: float, one: float, other: float) -> None:
    x = np.array([[0.0, 0.1, 0.4, 0.7, 1.0]])
    low, high = np.array([min(one, other)]), np.array([max(one, other)])
    expected = slope * (high**2 - low**2) / 2 + offset * (high - low)
    assert pchip.integrals(x, slope * x + offset, low, high) == pytest.approx(expected, abs=1e-13)


def test_one_point_is_no_curve() -> None:
    with pytest.raises(ValueError, match="points >= 2"):
        pchip.integrals(np.ones((3, 1)), np.ones((3, 1)), np.ones(3), np.ones(3))
