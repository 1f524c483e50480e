"""Multi-scale structural similarity."""

from __future__ import annotations

import numpy as np

from uqdm.bench.metrics import Metric

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first (table 1 of the publication)."""
SMALLEST_SIDE = 161  # pixels: halved four times and rounded up this is 11, the size of the window

_SIGMA = 1.5  # pixels
_REACH = 5  # pixels from the window's centre to its edge
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ms_ssim(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """MS-SSIM over five scales (eq. 7), uint8 [H, W, 3] with sides of at least 161 pixels.

    Gaussian window of 11 pixels and sigma 1.5 at the positions where it fits inside; each channel by itself, then their
    mean; a negative mean of a scale counts as zero. Between scales, means of 2 x 2 pixels; the last pixels of an odd
    side are repeated, so that it is defined from 161 pixels on (torchmetrics drops them, needs 176, averages the
    channels before the product and pads the border at the last scale, which differs by some 1e-4).

    >>> picture = np.random.default_rng(0).integers(0, 256, (161, 161, 3), dtype=np.uint8)
    >>> ms_ssim(picture, picture)
    1.0
    """
    x, y = original_uint8.astype(np.float64), reconstruction_uint8.astype(np.float64)
    value = np.ones(x.shape[2])  # (C,)
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        value *= np.maximum(_similarity(x, y, with_luminance=last), 0) ** weight
        if not last:
            x, y = halved(x), halved(y)
    return float(value.mean())


def _similarity(x: np.ndarray, y: np.ndarray, *, with_luminance: bool) -> np.ndarray:
    """Mean [C] of contrast and structure, and at the last scale of luminance too (eqs. 1 to 3)."""
    mean_x, mean_y = _window_means(x), _window_means(y)
    variances = _window_means(x * x) - mean_x**2 + _window_means(y * y) - mean_y**2
    similarity = (2 * (_window_means(x * y) - mean_x * mean_y) + _C2) / (variances + _C2)
    if with_luminance:
        similarity *= (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return np.asarray(similarity.mean((0, 1)))


def _window_means(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    means = gaussian_filter(values, (_SIGMA, _SIGMA, 0), radius=(_REACH, _REACH, 0))
    return means[_REACH:-_REACH, _REACH:-_REACH]


def halved(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels [H, W, C]; odd sides are first made even by repeating their last pixels."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, -1).mean((1, 3))


METRIC = Metric(
    name="ms_ssim",
    label="MS-SSIM",
    unit="",
    direction="higher",
    value_range=(0, 1),
    source="Wang, Simoncelli & Bovik, Asilomar Conference on Signals, Systems and Computers, 2003",
    comment="multi-scale structural similarity, RGB channels apart, five scales, window of sigma 1.5, peak 255",
    smallest_side=SMALLEST_SIDE,
    compute=ms_ssim,
)
