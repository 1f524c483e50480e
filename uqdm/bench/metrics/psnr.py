"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

from uqdm.bench.metrics import Metric
from uqdm.bench.metrics.mse import mse

PEAK = 255


def psnr_db(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """10 log10(255^2 / mse) in dB, with the MSE over all channels; +inf where the two are equal.

    >>> psnr_db(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8))
    inf
    """
    error = mse(original_uint8, reconstruction_uint8)
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


METRIC = Metric(
    name="psnr_db",
    label="PSNR",
    unit="dB",
    direction="higher",
    value_range=(0, math.inf),
    source="Wang & Bovik, IEEE Signal Processing Magazine 26(1), 2009; peak 255, MSE over all channels",
    comment="10 log10(255^2 / mse), dB; +inf where the picture is exact",
    compute=psnr_db,
)
