"""Verdicts: whether a measured figure agrees with a published one."""

from __future__ import annotations

import math
from dataclasses import dataclass

AGREES, DIFFERS, NOT_COMPARABLE, NOT_RUN = "agrees", "differs", "not comparable", "not run"
WORDS = (AGREES, DIFFERS, NOT_COMPARABLE, NOT_RUN)

ROUNDING = 0.5e-4
"""Published figures have four decimals."""

MIN_IMAGES = 30
"""With fewer images a bootstrap interval is clearly too narrow (Hesterberg, The American Statistician 2015), and would
report differences that are only sampling error."""


@dataclass(frozen=True)
class Verdict:
    """One of :data:`WORDS`, and a reason if there is one."""

    word: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}" if self.reason else self.word


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % interval (NaN where there is none)."""

    value: float
    low: float = math.nan
    high: float = math.nan


def accepted(estimate: Estimate, sampling: float, tolerance: float) -> tuple[float, float]:
    """The published values that agree with an estimate, from the lowest to the highest.

    The interval of the mean is stretched about it by ``sampling``, from the error of this mean to that of its
    difference from the published one (see :func:`uqdm.bench.analysis.published_curves.relation`), and then widened on
    both sides by ``tolerance`` and the rounding of the published figure.

    >>> low, high = accepted(Estimate(2.0, 1.5, 2.25), sampling=1.0, tolerance=0.25)
    >>> round(low, 5), round(high, 5)
    (1.24995, 2.50005)
    """
    slack = tolerance + ROUNDING
    if sampling == 0 or math.isinf(estimate.value):
        return estimate.value - slack, estimate.value + slack
    low = estimate.value + sampling * (estimate.low - estimate.value)
    high = estimate.value + sampling * (estimate.high - estimate.value)
    return low - slack, high + slack


def judge(published: float, bounds: tuple[float, float], known_difference: str = "") -> Verdict:
    """Agreement, or a difference with its known reason.

    >>> str(judge(1.9, (1.75, 2.25))), str(judge(math.inf, (math.inf, math.inf)))
    ('agrees', 'agrees')
    >>> str(judge(1.7, (1.75, 2.25)))
    'differs: by more than sampling, rounding and libraries explain'
    """
    low, high = bounds
    if math.isnan(low) or math.isnan(high):
        return Verdict(NOT_COMPARABLE, "no interval from fewer than two images")
    if low <= published <= high:
        return Verdict(AGREES)
    return Verdict(DIFFERS, known_difference or "by more than sampling, rounding and libraries explain")
