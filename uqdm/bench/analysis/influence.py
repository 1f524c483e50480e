"""How far the BD-rate of a set depends on each of its images: the BD-rate without it.

The *move* of an image is the BD-rate of the set without it minus that of all images. The sum of the squared moves is
close to the jackknife's variance of the BD-rate (Tukey 1958; Efron & Tibshirani 1993, ch. 11), so the square of one
move over that sum is the image's *share* of the variance.

One image *carries* a result in one of three cases:

- without it there is no BD-rate;
- without it the BD-rate has the other sign, although the interval of all images excludes 0: the figure claims a sign
  that one image decides. Where the interval contains 0, no sign is claimed;
- its share is over ``LARGE_SHARE``: it counts more than all others together. For few images that is chance: among n
  images with normal moves it happens in 73 % of sets of 4, 24 % of 8, 7 % of 12, 2 % of 16 and 0.2 % of 24 (20,000
  draws each). So this case needs ``LEAST_IMAGES``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uqdm.bench.analysis.bjontegaard import Direction, bd_rates
from uqdm.bench.analysis.image_values import CurveValues

LARGE_SHARE = 0.5
"""Share of the variance above which one image carries the result: more than all others together."""
LEAST_IMAGES = 12
"""Images from which on a share above ``LARGE_SHARE`` is rarely chance."""


@dataclass(frozen=True)
class Influence:
    """The BD-rate of a set in percent, and without each image [images]: NaN where there is none without it."""

    percent: float
    without_percent: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The share of each image in the variance [images], 0 to 1; NaN if there is no BD-rate without some image.

        >>> Influence(-10.0, np.array([-8.0, -11.0, -11.0])).shares.round(3).tolist()
        [0.667, 0.167, 0.167]
        """
        squares = (self.without_percent - self.percent) ** 2
        total = squares.sum()
        return squares / total if total > 0 else np.zeros_like(squares)

    @property
    def largest(self) -> int | None:
        """The place of the image that moves the BD-rate most, first of all one without which there is none."""
        moves = np.abs(self.without_percent - self.percent)
        if not moves.size or not np.isfinite(self.percent):
            return None
        return int(np.where(np.isnan(moves), np.inf, moves).argmax())

    def warning(self, low: float, high: float, ids: list[str]) -> str | None:
        """Which image carries the result, and why; None if none does. ``low`` and ``high`` are ends of its interval.

        >>> Influence(-3.0, np.array([2.0, -3.5, -3.2])).warning(-6.0, -1.0, ["a", "b", "c"])
        'one image decides the sign: without a BD-rate is +2.0 %'
        >>> Influence(-3.0, np.array([2.0, -3.5, -3.2])).warning(-6.0, 1.0, ["a", "b", "c"]) is None
        True
        """
        place = self.largest
        if place is None:
            return None
        if np.isnan(self.without_percent[place]):
            return f"one image decides whether there is a BD-rate: without {ids[place]} there is none"
        moves = np.abs(self.without_percent - self.percent)
        flips = (low > 0 or high < 0) & (np.sign(self.without_percent) != np.sign(self.percent))
        if flips.any():
            place = int(np.where(flips, moves, -1).argmax())
            return f"one image decides the sign: without {ids[place]} BD-rate is {self.without_percent[place]:+.1f} %"
        share = self.shares[place]
        if len(ids) < LEAST_IMAGES or not share > LARGE_SHARE:
            return None
        return (
            f"one image has {100 * share:.0f} % of the variance: without {ids[place]} BD-rate is "
            f"{self.without_percent[place]:+.1f} %"
        )


def influence(anchor: CurveValues, curve: CurveValues, percent: float, direction: Direction) -> Influence:
    """The influence of each image on the BD-rate ``percent`` of curves of means; columns are in order of their rate.

    The points are those of all images: each mean is taken again without the image, skipping images without a value.
    """
    if not np.isfinite(percent) or len(curve.bpp) < 2:
        return Influence(percent, np.full(len(curve.bpp), np.nan))
    means = [_without_each(values) for side in (anchor, curve) for values in side]
    return Influence(percent, bd_rates(*means, direction=direction))


def _without_each(values: np.ndarray) -> np.ndarray:
    """Means [N, K] of the columns of ``values`` [N, K] without each row in turn, NaN skipped.

    >>> _without_each(np.array([[1.0], [2.0], [6.0]])).tolist()
    [[4.0], [3.5], [1.5]]
    """
    present = ~np.isnan(values)
    n = present.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(values, axis=0) / n
        moved = mean + (mean - values) / (n - 1)
    return np.where(present, moved, mean)
