"""Subsets as whole numbers: every subset has one rank, also for the largest codebooks."""

import itertools
import math

import pytest

from uqdm.coding.combinations import members_of, rank


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 0), (6, 1), (7, 3), (7, 6), (7, 7)])
def test_ranks_of_all_subsets_are_all_numbers(n, k):
    subsets = [list(subset) for subset in itertools.combinations(range(n), k)]
    ranks = [rank(subset) for subset in subsets]
    assert sorted(ranks) == list(range(math.comb(n, k)))
    assert [members_of(number, n, k) for number in ranks] == subsets


@pytest.mark.parametrize(("n", "k"), [(4096, 1), (4096, 20), (4096, 4095), (4096, 4096), (65536, 1024)])
def test_extremes_are_exact(n, k):
    first, last = list(range(k)), list(range(n - k, n))
    assert (rank(first), rank(last)) == (0, math.comb(n, k) - 1)
    assert (members_of(0, n, k), members_of(math.comb(n, k) - 1, n, k)) == (first, last)


def test_numbers_out_of_range_are_refused():
    for number in (-1, 10):
        with pytest.raises(ValueError, match="there are 10"):
            members_of(number, 5, 2)


@pytest.mark.parametrize("members", [[2, 1], [1, 1], [-1, 3]])
def test_what_is_no_subset_is_refused(members):
    with pytest.raises(ValueError, match="rise strictly"):
        rank(members)
