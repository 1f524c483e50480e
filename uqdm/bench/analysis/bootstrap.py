"""Means over images and their percentile bootstrap intervals (Efron & Tibshirani 1993, ch. 13), by columns.

Every mean with an interval is computed here together with it, so that the interval contains its mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

LEVEL = 0.95
LEVEL_TEXT = f"{100 * LEVEL:g} %"
N_RESAMPLES = 2000
SEED = 0
MAX_UNDEFINED = 0.01
"""Largest share of resamples without a figure. Above it there is no interval: the others do not represent all."""

_CHUNK_COUNTS = 2**22  # counts held at once: 32 MiB
_LARGE = 2.0**900  # columns that reach it are scaled down, so that no sum overflows
_SCALE = 2.0**-100


class MeanIntervals(NamedTuple):
    """Means [K] of columns with the ends [K] of their intervals: ``low <= mean <= high`` where there are ends."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean_intervals(
    values: np.ndarray, *, level: float = LEVEL, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> MeanIntervals:
    """Column means of ``values`` [N, K], one image in each row, with the ends of their intervals.

    Images are drawn jointly: a resample has the same images in every column, so that columns can be compared. NaN marks
    an image that a column lacks; the mean of a resample is over the images that the column has, and a resample with
    none of them is skipped. A column with fewer than two images has the interval NaN. Raises ValueError for infinite
    values.

    >>> mean, low, high = mean_intervals(np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]]))
    >>> mean.tolist(), bool(1 <= low[0] < 2 < high[0] <= 3), low[1]
    ([2.0, 5.0], True, np.float64(nan))
    """
    values = np.asarray(values, np.float64)
    _check(values)
    means = column_means(values)
    if not values.size:
        return MeanIntervals(means, np.full_like(means, np.nan), np.full_like(means, np.nan))
    low, high = quantiles(resampled_means(values, n_resamples=n_resamples, seed=seed), level)
    few = np.isfinite(values).sum(axis=0) < 2
    return MeanIntervals(
        means,
        np.where(few, np.nan, np.minimum(low, means)),
        np.where(few, np.nan, np.maximum(high, means)),
    )


def column_means(values: np.ndarray) -> np.ndarray:
    """Means [K] of the columns of ``values`` [N, K], NaN skipped; NaN for a column of nothing else.

    The mean of equal values is that value, to the last bit. Raises ValueError for infinite values.

    >>> column_means(np.full((3, 1), 0.1)).tolist(), column_means(np.array([[1e308], [1.5e308]])).tolist()
    ([0.1], [1.25e+308])
    """
    values = np.asarray(values, np.float64)
    _check(values)
    if not len(values):
        return np.full(values.shape[1], np.nan)
    scale = _scales(values)
    return _unscaled(_scaled_means(values * scale), scale, values)


def mean_of(values: np.ndarray) -> float:
    """The mean of ``values`` [N], as :func:`column_means` takes it.

    >>> mean_of(np.array([0.1, 0.1, 0.1]))
    0.1
    """
    return float(column_means(np.asarray(values, np.float64)[:, None])[0])


def resampled_means(values: np.ndarray, *, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Column means [n_resamples, K] of resamples of ``values`` [N, K], drawn and taken as in :func:`mean_intervals`.

    Calls with equal numbers of images draw the same resamples. NaN where a resample has no image of the column.

    >>> resampled_means(np.array([[1.0], [1.0]]), n_resamples=3).tolist()
    [[1.0], [1.0], [1.0]]
    """
    values = np.asarray(values, np.float64)
    _check(values)
    scale = _scales(values)
    scaled = values * scale
    present = ~np.isnan(scaled)
    centre = np.where(present.any(axis=0), _scaled_means(scaled), 0)
    deviations = np.where(present, scaled - centre, 0)  # from the mean, to reduce rounding errors
    means = _resampled_means(deviations, present, n_resamples, seed) + centre
    return _unscaled(np.clip(means, *_range(scaled)), scale, values)


def interval_around(value: float, resampled: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Ends of the central interval of resampled figures [R], which contains ``value``, the figure of all images.

    >>> interval_around(2.0, np.arange(5.0), 0.5), interval_around(9.0, np.arange(5.0), 0.5)
    ((1.0, 3.0), (1.0, 9.0))
    """
    (low,), (high,) = quantiles(resampled[:, None], level)
    return float(min(low, value)), float(max(high, value))


def defined_interval(value: float, resampled: np.ndarray) -> tuple[float, float, str | None]:
    """As :func:`interval_around`, where resamples may have no figure, which is NaN; both ends NaN without resamples.

    If too many have none, the ends are NaN, and the third value is the reason.

    >>> defined_interval(2.0, np.array([np.nan, *range(5)]))
    (nan, nan, '16.7 % of the resamples have none, 1 % may')
    """
    if not len(resampled):
        return np.nan, np.nan, None
    undefined = float(np.isnan(resampled).mean())
    if undefined > MAX_UNDEFINED:
        return np.nan, np.nan, f"{100 * undefined:.1f} % of the resamples have none, {100 * MAX_UNDEFINED:g} % may"
    return *interval_around(value, resampled), None


def resample_counts(n_images: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample draws each image: arrays [some resamples, n_images], ``n_resamples`` rows in total.

    >>> sum(int(counts.sum()) for counts in resample_counts(5, 3, seed=0))
    15
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_COUNTS // max(n_images, 1))
    for start in range(0, n_resamples, chunk):
        rows = min(chunk, n_resamples - start)
        drawn = generator.integers(n_images, size=(rows, n_images))
        drawn += np.arange(rows)[:, None] * n_images
        yield np.bincount(drawn.ravel(), minlength=rows * n_images).reshape(rows, n_images)


def _check(values: np.ndarray) -> None:
    if values.ndim != 2 or np.isinf(values).any():
        raise ValueError(f"expected finite values or NaN [images, columns], got shape {values.shape}")


def _scales(values: np.ndarray) -> np.ndarray:
    """Powers of two [K] that columns are multiplied by before sums are taken."""
    largest = np.fmax.reduce(np.abs(values), axis=0, initial=0)
    return np.where(largest > _LARGE, _SCALE, 1.0)


def _unscaled(means: np.ndarray, scale: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means of columns that were scaled, within the range of their values: a scaled value may have underflowed."""
    return np.clip(means / scale, *_range(values))


def _scaled_means(values: np.ndarray) -> np.ndarray:
    """Means of columns whose sums do not overflow, within the range of their values."""
    present = ~np.isnan(values)
    first = values[present.argmax(axis=0), np.arange(values.shape[1])]
    deviations = np.where(present, values - first, 0)  # all zero where values are equal
    means = first + deviations.sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return np.clip(means, *_range(values))


def _range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value of each column, NaN skipped."""
    return np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)


def _resampled_means(values: np.ndarray, present: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Means [n_resamples, K]; NaN where a resample has no image of the column."""
    complete = bool(present.all())
    chunks = []
    for counts in resample_counts(len(values), n_resamples, seed):
        weights = counts.astype(np.float64)
        n_drawn = float(len(values)) if complete else weights @ present
        with np.errstate(invalid="ignore"):
            chunks.append(weights @ values / n_drawn)
    return np.concatenate(chunks)


def quantiles(means: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Both ends [2, K] of the central interval of each column of resampled figures [R, K], NaN skipped.

    >>> quantiles(np.arange(5.0)[:, None], 0.5).tolist()
    [[1.0], [3.0]]
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = np.quantile(means, tails, axis=0)
    for column in np.flatnonzero(np.isnan(means).any(axis=0)):
        finite = means[:, column][~np.isnan(means[:, column])]
        ends[:, column] = np.quantile(finite, tails) if finite.size else np.nan
    return ends
