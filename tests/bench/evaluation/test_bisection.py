"""Guards the bisection for a target: few tries, each once, and the best of them also where values do not rise."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from uqdm.bench.evaluation.bisection import bisect, unreachable
from uqdm.bench.run.targets import Found, Target


def bytes_of(curve: Callable[[int], float]) -> tuple[Callable[[int], Found], list[int]]:
    """A measurement of a known number of bytes at each value, and the values in the order in which they are tried."""
    tried: list[int] = []

    def measure(value: int) -> Found:
        tried.append(value)
        return Found(curve(value), curve(value))

    return measure, tried


@pytest.mark.parametrize("target", [130, 500, 777, 9_999])
@pytest.mark.parametrize("rises", [True, False])
def test_the_nearest_value_of_a_monotone_codec_is_found_in_few_tries(target: int, rises: bool) -> None:
    sizes = [100 + place**2 for place in range(100)]
    if not rises:
        sizes.reverse()
    measure, tried = bytes_of(sizes.__getitem__)
    found = bisect(100, measure, Target("bytes", "=", target))
    assert abs(found.found.value - target) == min(abs(size - target) for size in sizes)
    assert found.is_reached
    assert len(tried) == len(set(tried)) <= 2 + math.ceil(math.log2(100))


def test_the_best_try_counts_where_rates_do_not_rise_at_every_step() -> None:
    """The last step of a bisection may be worse than an earlier one."""
    sizes = [10 * place + (70 if place % 2 else 0) for place in range(64)]
    measure, tried = bytes_of(sizes.__getitem__)
    for target in range(0, 700, 13):
        tried.clear()
        found = bisect(64, measure, Target("bytes", "=", target))
        nearest = min(abs(sizes[place] - target) for place in tried)
        assert abs(found.found.value - target) == nearest
        assert nearest <= 75  # the jump of this codec, and half a step


@pytest.mark.parametrize(("relation", "best"), [("<=", 499), ("=", 499), (">=", 506)])
def test_a_condition_is_met_by_the_value_next_to_it(relation: str, best: int) -> None:
    measure, _ = bytes_of(lambda place: 100 + 7 * place)
    found = bisect(100, measure, Target("bytes", relation, 500))
    assert (found.found.value, found.is_reached) == (best, True)


def test_an_exact_value_ends_the_search() -> None:
    measure, tried = bytes_of(float)
    assert bisect(101, measure, Target("bytes", "=", 50)).found.value == 50
    assert tried == [0, 100, 50]


def test_a_target_outside_of_both_ends_takes_two_tries_and_is_not_reached() -> None:
    measure, tried = bytes_of(lambda place: 100.0 + place)
    found = bisect(100, measure, Target("bytes", "=", 50))
    assert (len(tried), found.is_reached, found.found.value) == (2, False, 100)
    reason = unreachable(Target("bytes", "=", 50), found.tries.values(), "this image")
    assert reason == "unreachable: bytes from 100 to 199 on this image, and the target is bytes=50"


def test_a_metric_without_a_value_is_not_reached() -> None:
    measure, _ = bytes_of(lambda place: math.nan)
    target = Target("ms_ssim", ">=", 0.9, kind="higher")
    found = bisect(100, measure, target)
    assert not found.is_reached
    assert unreachable(target, found.tries.values(), "this image") == "unreachable: ms_ssim has no value on this image"


def test_an_infinite_psnr_is_above_every_target() -> None:
    measure, _ = bytes_of(lambda place: math.inf if place > 90 else 30 + place / 10)
    found = bisect(100, measure, Target("psnr_db", "=", 35, kind="higher", unit="dB"))
    assert found.found.value == 35
