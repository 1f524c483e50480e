"""Mean squared error."""

from __future__ import annotations

import numpy as np

from uqdm.bench.metrics import Metric


def mse(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """Mean squared error over pixels and channels, of uint8 arrays of equal shape.

    The sum is taken in integers, so that it is exact and does not depend on the order of the additions.
    Raises ValueError for other types or shapes.

    >>> mse(np.array([0, 255], np.uint8), np.array([255, 254], np.uint8))
    32513.0
    """
    for image in (original_uint8, reconstruction_uint8):
        if image.dtype != np.uint8:
            raise ValueError(f"expected uint8 images, got {image.dtype}")
    if original_uint8.shape != reconstruction_uint8.shape:
        raise ValueError(f"images differ in shape: {original_uint8.shape} and {reconstruction_uint8.shape}")
    error = original_uint8.astype(np.int32) - reconstruction_uint8
    return int(np.square(error).sum(dtype=np.int64)) / error.size


METRIC = Metric(
    name="mse",
    label="MSE",
    unit="",
    direction="lower",
    value_range=(0, 255**2),
    source="Wang & Bovik, IEEE Signal Processing Magazine 26(1), 2009",
    comment="mean squared error over pixels and channels, values 0 to 255",
    compute=mse,
)
