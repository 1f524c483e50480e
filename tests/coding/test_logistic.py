"""The integer tables are the logistic distribution, identical on every machine."""

import hashlib

import numpy as np
import pytest
from scipy.special import expit

from uqdm.coding.logistic import (
    INVERSE_POWERS,
    LOGISTIC,
    MAX_SCALE,
    MIN_SCALE,
    SCALE_UNITS,
    TOTAL,
    bounded,
    bounded_cumulative,
    cumulative,
    half_window,
    logistic_at,
)


def test_tables_are_golden():
    # Files depend on every entry: a change of these digests is a new format version.
    digest = hashlib.sha256(LOGISTIC.astype("<i8").tobytes() + INVERSE_POWERS.astype("<i8").tobytes()).hexdigest()
    assert digest == "0f9c6a996cd982a80d3c973077d61b739670a5adaddcbcb0a378dd24ccea66c5"


def test_table_is_the_logistic_function_up_to_rounding():
    x = np.arange(len(LOGISTIC) - 2) / 256
    assert np.abs(LOGISTIC[:-2] - expit(x) * 2**30).max() <= 0.5 + 1e-6  # scipy's own error is some 1e-7 units


@pytest.mark.parametrize("scale", [MIN_SCALE, -5 * SCALE_UNITS + 77, -1, 0, 1, 3 * SCALE_UNITS + 1023, MAX_SCALE])
def test_interpolated_values_are_accurate_and_monotonic(scale):
    wide = 2.0 ** (scale / SCALE_UNITS)
    reach = 25 * wide
    edges = np.unique(np.linspace(-reach * 65536, reach * 65536, 4001).astype(np.int64))
    values = np.array([logistic_at(int(edge), scale) for edge in edges])
    assert (np.diff(values) >= 0).all()
    # Linear interpolation in steps of 1/256 is off by at most (1/256)^2 / 8 max|S''| = 1.9e-7, the argument's last
    # digit by 2^-20 / 4, and the scale's mantissa (2^-30) by far less.
    slack = 1.9e-7 + 2.0**-22 + 2.0**-30
    assert np.abs(values / 2**30 - expit(edges / 65536 / wide)).max() < slack


@pytest.mark.parametrize("scale", [MIN_SCALE, -3 * SCALE_UNITS, 0, 2 * SCALE_UNITS + 5, MAX_SCALE])
@pytest.mark.parametrize("rest", [0, 1, 30000, 65535])
def test_every_symbol_of_the_window_and_both_escapes_have_a_frequency(scale, rest):
    half = half_window(scale)
    cumulated = np.array([cumulative(offset, rest, scale, half) for offset in range(-half, half + 1)])
    assert cumulated[0] >= 1
    assert cumulated[-1] <= TOTAL - 1
    assert np.diff(cumulated).min() >= 1


@pytest.mark.parametrize("scale", [MIN_SCALE, -3 * SCALE_UNITS, 0, 2 * SCALE_UNITS + 5, MAX_SCALE])
@pytest.mark.parametrize("location", [-(1 << 36), -400000, 0, 300000, 1 << 36])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-70000, 500000), (65535, 131073), (1 << 30, (1 << 30) + 9)])
def test_every_bounded_symbol_has_a_frequency(scale, location, low, high):
    first, count = low >> 16, (high >> 16) - (low >> 16) + 1
    moved, before, mass = bounded(location, scale, low, high)
    edges = [((first + i) << 16) - moved for i in range(count + 1)]
    cumulated = [bounded_cumulative(i, count, edge, scale, before, mass) for i, edge in enumerate(edges)]
    assert (cumulated[0], cumulated[-1]) == (0, TOTAL)
    assert np.diff(cumulated).min() >= 1


def test_only_far_locations_are_moved_to_within_ten_scales():
    for scale in (-5 * SCALE_UNITS + 77, 0, 3 * SCALE_UNITS + 1023):
        wide = 65536 * 2.0 ** (scale / SCALE_UNITS)
        assert bounded(123, scale, -4567, 65536)[0] == 123
        assert -10.01 <= (bounded(-(1 << 40), scale, 100, 70000)[0] - 100) / wide <= -5
        assert 5 <= (bounded(1 << 40, scale, 100, 70000)[0] - 70000) / wide <= 10.01
