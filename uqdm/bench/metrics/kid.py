"""Kernel Inception distance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import SetMetric


def kid(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """KID of two sets of Inception features [n, d] and [m, d], and its standard deviation over subsets.

    Unbiased for any number of items from 4 on; so it may come out below 0 where the sets are alike.

    >>> features = np.random.default_rng(0).normal(size=(60, 8))
    >>> near, far = (kid(features, features[::-1] + shift)["kid"] for shift in (0.1, 1))
    >>> near < far
    True
    """
    from uqdm.bench.features.statistics import kernel_distance

    mean, deviation = kernel_distance(originals, pictures)
    return {"kid": mean, "kid_sd": deviation}


METRIC = SetMetric(
    name="kid",
    label="KID",
    unit="",
    direction="lower",
    value_range=(float("-inf"), float("inf")),
    source="Binkowski et al., ICLR 2018, section 4; as torch-fidelity computes it",
    comment="kernel distance of Inception features, mean over 100 subsets of min(1000, n / 2) images; unbiased",
    columns={"kid_sd": "standard deviation of kid over its subsets"},
    smallest_set=4,
    compute=kid,
)
