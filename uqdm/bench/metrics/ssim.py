"""Structural similarity."""

from __future__ import annotations

import numpy as np

from uqdm.bench.metrics import Metric

SIGMA = 1.5  # pixels
WINDOW = 11  # pixels; what scikit-image cuts the Gaussian to at 3.5 sigma


def ssim(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """Mean SSIM over pixels and channels, uint8 [H, W, 3] with sides of at least 11 pixels.

    As in the publication: Gaussian window of sigma 1.5, population covariances, peak 255, each channel by itself.

    >>> black, white = np.zeros((11, 11, 3), np.uint8), np.full((11, 11, 3), 255, np.uint8)
    >>> ssim(black, black), round(ssim(black, white), 4)
    (1.0, 0.0001)
    """
    from skimage.metrics import structural_similarity

    value = structural_similarity(
        original_uint8,
        reconstruction_uint8,
        gaussian_weights=True,
        sigma=SIGMA,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
    )
    return float(value)


METRIC = Metric(
    name="ssim",
    label="SSIM",
    unit="",
    direction="higher",
    value_range=(-1, 1),
    source="Wang, Bovik, Sheikh & Simoncelli, IEEE Transactions on Image Processing 13(4), 2004",
    comment="structural similarity, RGB channels apart, Gaussian window of sigma 1.5, peak 255",
    smallest_side=WINDOW,
    compute=ssim,
)
