"""BD-rates of single images, and ratios of the images' rates at one quality.

The BD-rate of a set is that of two curves of means. Here each image has two curves of its own, anchor and codec, by the
same interpolation and under the same conditions (:mod:`uqdm.bench.analysis.bjontegaard`). All images are computed at
once; curves of images are often not monotonic, or lack points that are exact, and those images have a reason instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from uqdm.bench.analysis import bootstrap, pchip
from uqdm.bench.analysis.bjontegaard import MIN_OVERLAP, MIN_POINTS, Direction, bd_rates, sign_of
from uqdm.bench.analysis.image_values import CurveValues
from uqdm.bench.run.tables import records

if TYPE_CHECKING:
    import pandas as pd

FEW_POINTS = f"fewer than {MIN_POINTS} points of finite quality"
NOT_MONOTONIC = "not monotonic: quality does not improve with every point"
LITTLE_OVERLAP = f"the curves share less than {100 * MIN_OVERLAP:g} % of the shorter one"


class ImageBdRates(NamedTuple):
    """BD-rates in percent [images], NaN where ``reasons`` has a text instead of None."""

    percent: np.ndarray
    reasons: np.ndarray


def image_bd_rates(anchor: CurveValues, curve: CurveValues, direction: Direction) -> ImageBdRates:
    """The BD-rate of each image, of its own two curves.

    >>> quality = np.array([[30.0, 33.0, 36.0, 40.0], [30.0, 33.0, 33.0, 40.0]])
    >>> anchor = CurveValues(np.array([[0.5, 1.0, 2.0, 4.0]] * 2), quality)
    >>> found = image_bd_rates(anchor, CurveValues(0.9 * anchor.bpp, quality), "higher")
    >>> found.percent.round(9).tolist(), found.reasons.tolist()
    ([-10.0, nan], [None, 'not monotonic: quality does not improve with every point'])
    """
    sides = _ordered(anchor), _ordered(curve)
    percent = np.full(len(curve.bpp), np.nan)
    for images, n_anchor, n in _by_count(*sides):
        if min(n_anchor, n) >= MIN_POINTS:
            arrays = [values[images, :count] for one, count in zip(sides, (n_anchor, n), strict=True) for values in one]
            percent[images] = bd_rates(*arrays, direction=direction)
    few = np.minimum(*(_counts(one) for one in sides)) < MIN_POINTS
    unordered = ~(_is_monotonic(sides[0], direction) & _is_monotonic(sides[1], direction))
    reasons = np.full(len(percent), LITTLE_OVERLAP, dtype=object)
    reasons[unordered] = NOT_MONOTONIC
    reasons[few] = FEW_POINTS
    reasons[np.isfinite(percent)] = None
    return ImageBdRates(percent, reasons)


class RateRatios(NamedTuple):
    """Ratios of geometric means of rates, curve to anchor, [levels], with the ends of 95 % intervals over images.

    ``n`` counts the images whose two curves reach the level; the others are left out. NaN without such images.
    """

    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def log_rate_ratios(
    anchor: CurveValues, curve: CurveValues, levels: Sequence[float], direction: Direction
) -> np.ndarray:
    """Logarithms of the ratio of each image's rates at levels of quality [images, levels], curve to anchor.

    NaN where one of the two curves of the image does not reach the level, has fewer than ``MIN_POINTS`` points, or is
    not monotonic.
    """
    return _log_rates_at(curve, levels, direction) - _log_rates_at(anchor, levels, direction)


def rate_ratios(log_ratios: np.ndarray) -> RateRatios:
    """The ratios of geometric means of such logarithms [images, K]; a column's images are drawn jointly with others'.

    >>> rate_ratios(np.log([[0.5], [0.5], [np.nan]]))
    RateRatios(ratio=array([0.5]), low=array([0.5]), high=array([0.5]), n=array([2]))
    """
    ratio, low, high = map(np.exp, bootstrap.mean_intervals(log_ratios))
    return RateRatios(ratio, low, high, np.isfinite(log_ratios).sum(axis=0))


ENDS = 5
"""Images of highest BD-rate, and of lowest, that are listed."""


def worst_and_best(of_curve: pd.DataFrame) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Pairs of the rows of ``BD_OF_IMAGES`` of highest and of lowest BD-rate of one curve and metric, the ends first.

    At most ``ENDS`` of either; an image is in one of the two lists only.
    """
    ranked = of_curve[of_curve.bd_rate_percent.notna()].sort_values("bd_rate_percent", kind="stable")
    best = records(ranked.head(min(ENDS, len(ranked) // 2)))
    worst = records(ranked.tail(min(ENDS, len(ranked) - len(best))).iloc[::-1])
    return list(itertools.zip_longest(worst, best))


def _log_rates_at(values: CurveValues, levels: Sequence[float], direction: Direction) -> np.ndarray:
    side, sign = _ordered(values), sign_of(direction)
    found = np.full((len(side.bpp), len(levels)), np.nan)
    monotonic = _is_monotonic(side, direction)
    for images, n, _ in _by_count(side, side):
        if n < MIN_POINTS:
            continue
        x, y = sign * side.quality[images, :n], np.log(side.bpp[images, :n])
        for place, level in enumerate(levels):
            at = np.full(len(x), sign * level)
            reached = (x[:, 0] <= at) & (at <= x[:, -1]) & monotonic[images]
            found[images, place] = np.where(reached, pchip.values(x, y, at), np.nan)
    return found


def _ordered(values: CurveValues) -> CurveValues:
    """The points of each image in order of their rate, those without a finite quality last."""
    known = np.isfinite(values.quality) & (values.bpp > 0)
    order = np.argsort(np.where(known, values.bpp, np.inf), axis=1, kind="stable")
    blank = (np.where(known, one, np.nan) for one in values)
    return CurveValues(*(np.take_along_axis(one, order, axis=1) for one in blank))


def _counts(values: CurveValues) -> np.ndarray:
    """The number of points of each image."""
    return np.isfinite(values.quality).sum(axis=1)


def _by_count(anchor: CurveValues, curve: CurveValues) -> Iterator[tuple[np.ndarray, int, int]]:
    """The places of images that have the same numbers of points, and these numbers."""
    counts = np.stack([_counts(anchor), _counts(curve)], axis=1)
    found, group = np.unique(counts, axis=0, return_inverse=True)
    for number, (n_anchor, n) in enumerate(found.tolist()):
        yield np.flatnonzero(group.ravel() == number), n_anchor, n


def _is_monotonic(values: CurveValues, direction: Direction) -> np.ndarray:
    """Whether rate and quality improve with every point of an image; ``values`` are ordered."""
    with np.errstate(invalid="ignore"):
        stalls = (np.diff(values.bpp) <= 0) | (sign_of(direction) * np.diff(values.quality) <= 0)
    return np.asarray(~stalls.any(axis=1))
