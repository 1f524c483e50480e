"""Kernel Inception distance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from uqdm.bench.metrics import SetMetric

N_SUBSETS = 100
SUBSET_SIZE = 1000
SEED = 2020
"""The seed of torch-fidelity, so that both draw equal subsets."""
KERNEL = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
MAX_KERNEL_SIDE = 4096
"""The most items for which the kernels of all pairs are kept: 128 MiB for each matrix."""

LEAST = 16
"""Fewest items: with fewer, the deviation over choices of images (docs/fid.md) exceeds 0.007, the KID of JPEG at 80."""


def kid(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """KID of two sets of Inception features [n, d] and [m, d], and its standard deviation over subsets.

    Unbiased for 4 items or more; it may therefore be below 0 if the sets are alike.

    >>> features = np.random.default_rng(0).normal(size=(60, 8))
    >>> near, far = (kid(features, features[::-1] + shift)["kid"] for shift in (0.1, 1))
    >>> near < far
    True
    """
    mean, deviation = kernel_distance(originals, pictures)
    return {"kid": mean, "kid_sd": deviation}


def kernel_distance(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Kernel Inception distance of features [n, d] and [m, d]: mean and standard deviation over subsets.

    torch-fidelity's kernel (x.y / d + 1)^3 and unbiased estimator (Binkowski et al. 2018) in float64, over 100 subsets
    of 1,000 items or of half the smaller set, whichever is less: subsets as large as the set would all be the same, and
    their deviation 0. Needs 4 items on either side.
    """
    from torch_fidelity.metric_kid import mmd2

    from uqdm.bench.features.statistics import check_features

    check_features(one)
    check_features(other)
    size = min(SUBSET_SIZE, min(len(one), len(other)) // 2)
    if size < 2:
        raise ValueError(f"KID needs at least 4 items, got {len(one)} and {len(other)}")
    draw = np.random.RandomState(SEED).choice  # the generator that torch-fidelity draws from
    kernel = _Kernel(one.astype(np.float64), other.astype(np.float64))
    drawn = ((draw(len(one), size, replace=False), draw(len(other), size, replace=False)) for _ in range(N_SUBSETS))
    distances = [mmd2(*kernel.between(*pair)) for pair in drawn]
    return float(np.mean(distances)), float(np.std(distances))


class _Kernel:
    """The polynomial kernel within and between two sets; computed once for all pairs where these are not too many."""

    def __init__(self, one: np.ndarray, other: np.ndarray) -> None:
        from torch_fidelity.metric_kid import kernel_poly

        self._kernel = partial(kernel_poly, **KERNEL)
        self._sets = one, other
        few = max(len(one), len(other)) <= MAX_KERNEL_SIDE
        self._all = self._of(one, other) if few else None

    def between(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Kernel matrices within some items of the first set, from them to some of the second, and within those."""
        if self._all is None:
            return self._of(self._sets[0][first], self._sets[1][second])
        within, across, others = self._all
        return within[np.ix_(first, first)], across[np.ix_(first, second)], others[np.ix_(second, second)]

    def _of(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        within, across, others = (self._kernel(*pair) for pair in ((one, one), (one, other), (other, other)))
        return within, across, others


METRIC = SetMetric(
    name="kid",
    label="KID",
    unit="",
    direction="lower",
    value_range=(float("-inf"), float("inf")),
    source="Binkowski et al., ICLR 2018, section 4; as torch-fidelity computes it",
    comment="kernel distance of Inception features, mean over 100 subsets of min(1000, n / 2) images; unbiased",
    columns={"kid_sd": "standard deviation of kid over its subsets"},
    spread="kid_sd",
    short_decimals=4,
    smallest_set=4,
    meaningful_set=LEAST,
    meaningful_reason="with fewer, its random error exceeds the KID of good pictures",
    compute=kid,
)
