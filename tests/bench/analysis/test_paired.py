"""Guards the paired figures against SciPy and against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from uqdm.bench.analysis.paired import NO_DIFFERENCE, NOTHING_FINITE, paired_figures, signed_rank


def test_test_and_effect_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    differences = np.append(generator.normal(0.3, 1, 40), np.zeros(5))
    found = signed_rank(differences)
    assert found["wilcoxon_p"] == wilcoxon(differences[:40]).pvalue
    # SciPy's statistic for alternative="greater" is the sum of the ranks of the positive differences.
    positive = wilcoxon(differences[:40], alternative="greater").statistic
    whole = 40 * 41 / 2
    assert found["effect"] == pytest.approx((2 * positive - whole) / whole, rel=1e-14)


def test_effect_is_one_where_every_difference_has_one_sign() -> None:
    assert signed_rank(np.array([0.1, 2.0]))["effect"] == 1
    assert signed_rank(np.array([-0.1, -2.0, 0.0]))["effect"] == -1
    assert signed_rank(np.array([-1.0, 1.0]))["effect"] == 0


def test_equal_values_are_reported_as_no_difference() -> None:
    assert signed_rank(np.zeros(4)) == {"reason": NO_DIFFERENCE}


@pytest.mark.parametrize(("higher_is_better", "better", "worse"), [(True, 2, 1), (False, 1, 2)])
def test_counts_follow_the_direction(higher_is_better: bool, better: int, worse: int) -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0, np.nan]), np.array([2.0, 3.0, 2.5, 4.0, 1.0])
    found = paired_figures(a, b, higher_is_better=higher_is_better)
    assert (found["n"], found["better"], found["worse"], found["equal"]) == (4, better, worse, 1)
    assert found["difference"] == found["mean_b"] - found["mean_a"] == 0.375


def test_infinite_values_are_counted_and_left_out_of_means() -> None:
    a, b = np.array([30.0, np.inf, np.inf, 40.0]), np.array([31.0, np.inf, 50.0, np.inf])
    found = paired_figures(a, b, higher_is_better=True)
    assert (found["n"], found["infinite"]) == (4, 3)
    assert (found["mean_a"], found["mean_b"], found["difference"]) == (30, 31, 1)
    assert (found["better"], found["worse"], found["equal"]) == (2, 1, 1)


def test_infinite_values_alone_give_a_reason() -> None:
    found = paired_figures(np.full(3, np.inf), np.full(3, np.inf), higher_is_better=True)
    assert (found["equal"], found["reason"]) == (3, NOTHING_FINITE)
    assert "difference" not in found
