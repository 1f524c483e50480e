"""Bjøntegaard deltas: how far apart two rate-quality curves are on average, in rate and in quality.

BD-rate is the mean over the common interval of quality of the difference in log rate, as a percentage: negative where
the curve needs fewer bits than the anchor. BD-quality is the mean over the common interval of log10 rate of the
difference in quality, curve minus anchor, in the metric's own unit: of PSNR positive is better, of a distance negative.
Curves run through their points by PCHIP, and integrals are exact (Bjøntegaard, VCEG-M33, 2001; why PCHIP: Herglotz et
al., The Bjøntegaard Bible, IEEE Transactions on Image Processing 33, 2024).

Where a delta would mislead, it is NaN, with a reason. Each delta has its *spread*: the least and the greatest value
by piecewise linear, PCHIP and Akima interpolation. None of them is wrong, so the spread is what the measured points
leave open. A cubic polynomial or spline is not among them: it swings between points of unequal distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from uqdm.bench.analysis import pchip
from uqdm.bench.analysis.interpolation_spread import spread_of
from uqdm.text import counted

METHOD = "pchip, log10 rate"
MIN_POINTS = 4
"""Points that each curve needs: the delta is defined for four (VCEG-M33), and common test conditions ask for as many.
PCHIP runs through three, too, but three leave the figure to the interpolation: UQDM's three points on the demo's first
16 tiles have a BD-rate by SSIM of -8 % by straight lines, -18 % by PCHIP and -22 % by Akima."""
MIN_OVERLAP = 0.25
"""Share of the shorter curve that the common interval must cover."""
LARGE_SPREAD_PERCENT = 1.5
"""A spread above it, in points of BD-rate, is stated beside the figure. An interpolation that suits its points is
within 1.5 % of the true difference (Herglotz et al., Beyond Bjøntegaard, ICIP 2022): a larger spread says that the
points are too far apart."""

Direction = Literal["lower", "higher"]
"""Which values of a quality metric are better."""


@dataclass(frozen=True)
class Points:
    """The points of a curve: rates in bpp and a metric's values, both [K] (in any order), means over the same images.

    ``fingerprint`` identifies the images, if known. ``name`` is used in reasons, and so is ``left_out``: which points
    of the curve are not among these, and why.
    """

    rate_bpp: np.ndarray
    quality: np.ndarray
    name: str = "the curve"
    fingerprint: str | None = None
    left_out: str = ""

    def usable(self) -> Points:
        """The points with a positive rate and a finite quality, in order of their rate; exact points have no PSNR."""
        rate_bpp, quality = np.asarray(self.rate_bpp, float), np.asarray(self.quality, float)
        if rate_bpp.ndim != 1 or rate_bpp.shape != quality.shape:
            raise ValueError(f"{self.name}: expected as many rates as values, got {rate_bpp.shape} and {quality.shape}")
        kept = np.isfinite(quality) & np.isfinite(rate_bpp) & (rate_bpp > 0)
        order = np.flatnonzero(kept)[np.argsort(rate_bpp[kept], kind="stable")]
        return replace(self, rate_bpp=rate_bpp[order], quality=quality[order])


@dataclass(frozen=True)
class Delta:
    """A delta, or NaN and the ``reason`` why there is none.

    ``low`` and ``high`` are the ends of the common interval (of quality for BD-rate, of bpp for BD-quality), NaN if
    there is none; ``share`` and ``anchor_share`` how much of each curve it covers, on the axis of the integral. Where
    points were left out, ``left_out`` counts them, of both curves. ``spread`` has the least and the greatest value by
    different interpolations; ``spread_percent`` is its width in points of BD-rate.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    share: float = 0.0
    anchor_share: float = 0.0
    reason: str | None = None
    left_out: int = 0
    spread: tuple[float, float] = (np.nan, np.nan)
    spread_percent: float = np.nan

    @property
    def is_uncertain(self) -> bool:
        """Whether the value depends on the interpolation: its spread is above ``LARGE_SPREAD_PERCENT``."""
        return self.spread_percent > LARGE_SPREAD_PERCENT


def bd_rate(anchor: Points, curve: Points, direction: Direction = "higher") -> Delta:
    """BD-rate in percent of ``curve`` against ``anchor``: -10 says that it needs 10 % fewer bits at equal quality.

    ``direction`` says which values of the metric are better. Raises ValueError where the images differ.

    >>> jpeg = Points(np.array([0.5, 1.0, 2.0, 4.0]), np.array([28.0, 31.0, 35.0, 40.0]))
    >>> dearer = Points(1.1 * jpeg.rate_bpp, jpeg.quality)
    >>> round(bd_rate(jpeg, dearer).value, 9)
    10.0
    """
    ready = _prepared(anchor, curve)
    if isinstance(ready, Delta):
        return ready
    for points in ready:
        reason = _not_improving(points, direction)
        if reason:
            return Delta(np.nan, reason=reason)
    sign = sign_of(direction)
    axes = [(sign * one.quality, np.log10(one.rate_bpp)) for one in ready]
    found = _delta(axes, [one.quality for one in ready])
    low, high = map(float, percent(np.array(found.spread)))
    return replace(
        found,
        value=float(percent(found.value)),
        left_out=_left_out((anchor, curve), ready),
        spread=(low, high),
        spread_percent=high - low,
    )


def bd_quality(anchor: Points, curve: Points) -> Delta:
    """BD-quality of ``curve`` against ``anchor``, in the metric's unit: +1 dB of PSNR is better, a distance +1 worse.

    Raises ValueError where the images differ.

    >>> jpeg = Points(np.array([0.5, 1.0, 2.0, 4.0]), np.array([28.0, 31.0, 35.0, 40.0]))
    >>> round(bd_quality(jpeg, Points(jpeg.rate_bpp, jpeg.quality + 1)).value, 9)
    1.0
    """
    ready = _prepared(anchor, curve)
    if isinstance(ready, Delta):
        return ready
    axes = [(np.log10(one.rate_bpp), one.quality) for one in ready]
    found = _delta(axes, [one.rate_bpp for one in ready])
    return replace(
        found, left_out=_left_out((anchor, curve), ready), spread_percent=_in_percent(found.spread, ready[0])
    )


def _in_percent(spread: tuple[float, float], anchor: Points) -> float:
    """The width of a spread of qualities in points of BD-rate, by the anchor's mean slope."""
    per_decade = np.ptp(anchor.quality) / np.log10(anchor.rate_bpp[-1] / anchor.rate_bpp[0])
    width = spread[1] - spread[0]
    if not width > 0:  # none, or NaN
        return width
    return float(percent(width / per_decade)) if per_decade else np.inf


def bd_rates(
    anchor_bpp: np.ndarray, anchor_quality: np.ndarray, bpp: np.ndarray, quality: np.ndarray, *, direction: Direction
) -> np.ndarray:
    """BD-rates in percent [R] of many pairs of curves, one in each row: anchors [R, K_a] and curves [R, K].

    Points are in order of their rate. NaN where :func:`bd_rate` gives a reason; the number of points is not checked.
    """
    sign = sign_of(direction)
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = [(sign * anchor_quality, np.log10(anchor_bpp)), (sign * quality, np.log10(bpp))]
    return percent(_mean_difference(*pairs))


def bd_qualities(
    anchor_bpp: np.ndarray, anchor_quality: np.ndarray, bpp: np.ndarray, quality: np.ndarray
) -> np.ndarray:
    """BD-qualities [R] of many pairs of curves, as :func:`bd_rates`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _mean_difference((np.log10(anchor_bpp), anchor_quality), (np.log10(bpp), quality))


def percent(log10_ratio: np.ndarray | float) -> np.ndarray:
    """A ratio of rates, given as its decimal logarithm, as a difference in percent."""
    return 100 * np.expm1(np.log(10) * log10_ratio)


def sign_of(direction: Direction) -> int:
    """1 if higher values are better, else -1; raises ValueError for another direction."""
    if direction not in ("lower", "higher"):
        raise ValueError(f"direction={direction!r}: choose lower or higher")
    return 1 if direction == "higher" else -1


def _prepared(anchor: Points, curve: Points) -> tuple[Points, Points] | Delta:
    """The usable points of both curves, or a delta with the reason why they are too few."""
    if anchor.fingerprint != curve.fingerprint:
        raise ValueError(
            f"{anchor.name} and {curve.name} were measured on different images (fingerprints {anchor.fingerprint} and "
            f"{curve.fingerprint}); measure both on the same"
        )
    ready = anchor.usable(), curve.usable()
    for points in ready:
        reason = _too_few(points) or _equal_rates(points)
        if reason:
            return Delta(np.nan, reason=reason, left_out=_left_out((anchor, curve), ready))
    return ready


def _too_few(points: Points) -> str | None:
    n = len(points.rate_bpp)
    if n >= MIN_POINTS:
        return None
    left_out = f" ({points.left_out})" if points.left_out else ""
    return f"{points.name} has {counted(n, 'point')} of finite quality{left_out}, and {MIN_POINTS} are needed"


def _equal_rates(points: Points) -> str | None:
    same = np.flatnonzero(np.diff(points.rate_bpp) <= 0)
    return f"two points of {points.name} have the rate {points.rate_bpp[same[0]]:.4g} bpp" if same.size else None


def _not_improving(points: Points, direction: Direction) -> str | None:
    """Quality must improve with each point: otherwise a quality has no unique rate."""
    worse = np.flatnonzero(sign_of(direction) * np.diff(points.quality) <= 0)
    if not worse.size:
        return None
    first, last = points.rate_bpp[worse[0]], points.rate_bpp[worse[0] + 1]
    return f"not monotonic: the quality of {points.name} does not improve from {first:.4g} to {last:.4g} bpp"


def _left_out(given: tuple[Points, Points], ready: tuple[Points, Points]) -> int:
    return sum(len(a.rate_bpp) - len(b.rate_bpp) for a, b in zip(given, ready, strict=True))


def _delta(axes: list[tuple[np.ndarray, np.ndarray]], values: list[np.ndarray]) -> Delta:
    """The mean difference of two curves (x, y), anchor first; ``values`` are x in the unit of the reported interval."""
    (x_a, _), (x, _) = axes
    low, high = max(x_a[0], x[0]), min(x_a[-1], x[-1])
    if not low < high:
        return Delta(np.nan, reason="the curves do not overlap")
    share, anchor_share = ((high - low) / (one[-1] - one[0]) for one in (x, x_a))
    ends = max(one.min() for one in values), min(one.max() for one in values)
    reason = None
    if max(share, anchor_share) < MIN_OVERLAP:
        reason = (
            f"too little overlap: {100 * max(share, anchor_share):.1f} % of the shorter curve, from {ends[0]:.4g} to "
            f"{ends[1]:.4g}, and {100 * MIN_OVERLAP:g} % are needed"
        )
    (value,) = _mean_difference(*((x[None], y[None]) for x, y in axes))
    spread = spread_of(axes, float(value), (float(low), float(high))) if reason is None else (np.nan, np.nan)
    return Delta(float(value), float(ends[0]), float(ends[1]), float(share), float(anchor_share), reason, spread=spread)


def _mean_difference(anchor: tuple[np.ndarray, np.ndarray], curve: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Means [R] over the common interval of x of the difference in y, curve minus anchor.

    Each is x and y, [R, K]. NaN where x does not rise strictly, a value is not finite, or the interval is too short.
    """
    (x_a, y_a), (x, y) = anchor, curve
    low, high = np.maximum(x_a[:, 0], x[:, 0]), np.minimum(x_a[:, -1], x[:, -1])
    shorter = np.minimum(x_a[:, -1] - x_a[:, 0], x[:, -1] - x[:, 0])
    defined = (high > low) & (high - low >= MIN_OVERLAP * shorter)
    for values, rising in ((x_a, True), (x, True), (y_a, False), (y, False)):
        defined &= np.isfinite(values).all(axis=1)
        if rising:
            with np.errstate(invalid="ignore"):
                defined &= (np.diff(values) > 0).all(axis=1)
    area = pchip.integrals(x, y, low, high) - pchip.integrals(x_a, y_a, low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(defined, area / (high - low), np.nan)
