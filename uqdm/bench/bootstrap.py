"""Percentile bootstrap intervals of means over images (Efron & Tibshirani 1993, ch. 13), many columns at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

LEVEL = 0.95
LEVEL_TEXT = f"{100 * LEVEL:g} %"
N_RESAMPLES = 2000
SEED = 0

_CHUNK_COUNTS = 2**22  # counts held at once: 32 MiB


def mean_intervals(
    values: np.ndarray, *, level: float = LEVEL, n_resamples: int = N_RESAMPLES, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends [K] of the intervals of the column means of ``values`` [N, K], a row an image.

    Images are drawn jointly: a resample holds the same images in every column, so columns can be compared. NaN marks
    an image that a column leaves out; a resample then takes the mean over those of its images that are there, and one
    that has none is passed over. A column with fewer than two images has no interval: NaN.

    >>> low, high = mean_intervals(np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]]))
    >>> bool(1 <= low[0] < 2 < high[0] <= 3), low[1]
    (True, np.float64(nan))
    """
    values = np.asarray(values, np.float64)
    _check(values)
    if not values.size:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    means, centre = _means_about_centre(values, n_resamples, seed)
    ends = quantiles(means, level) + centre
    ends[:, np.isfinite(values).sum(axis=0) < 2] = np.nan
    return ends[0], ends[1]


def resampled_means(values: np.ndarray, *, n_resamples: int = N_RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Column means [n_resamples, K] of resamples of ``values`` [N, K], drawn and taken as in :func:`mean_intervals`.

    Calls with as many images draw the same resamples. NaN where a resample has no image that the column holds.

    >>> resampled_means(np.array([[1.0], [1.0]]), n_resamples=3).tolist()
    [[1.0], [1.0], [1.0]]
    """
    values = np.asarray(values, np.float64)
    _check(values)
    means, centre = _means_about_centre(values, n_resamples, seed)
    return means + centre


def resample_counts(n_images: int, n_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample draws each image: arrays [some resamples, n_images], ``n_resamples`` rows in all.

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


def _means_about_centre(values: np.ndarray, n_resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Resampled means [n_resamples, K] of the deviations from the column means [K], and those means."""
    present = ~np.isnan(values)
    centre = np.where(present, values, 0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    deviations = np.where(present, values - centre, 0)  # about the mean, so that little is lost to rounding
    return _resampled_means(deviations, present, n_resamples, seed), centre


def _resampled_means(values: np.ndarray, present: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Means [n_resamples, K]; NaN where a resample has no image that the column holds."""
    complete = bool(present.all())
    chunks = []
    for counts in resample_counts(len(values), n_resamples, seed):
        weights = counts.astype(np.float64)
        n_drawn = float(len(values)) if complete else weights @ present
        with np.errstate(invalid="ignore"):
            chunks.append(weights @ values / n_drawn)
    return np.concatenate(chunks)


def quantiles(means: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Both ends [2, K] of the central interval of each column of resampled figures [R, K], NaN passed over.

    >>> quantiles(np.arange(5.0)[:, None], 0.5).tolist()
    [[1.0], [3.0]]
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = np.quantile(means, tails, axis=0)
    for column in np.flatnonzero(np.isnan(means).any(axis=0)):
        finite = means[:, column][~np.isnan(means[:, column])]
        ends[:, column] = np.quantile(finite, tails) if finite.size else np.nan
    return ends
