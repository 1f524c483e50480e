"""Distances between two sets of features: Frechet's, and the kernel distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from torch_fidelity.metric_kid import kernel_poly, mmd2

KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
KID_SEED = 2020
"""torch-fidelity's own, so that equal features give it equal subsets."""
KID_KERNEL = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
MAX_KERNEL_SIDE = 4096
"""Items up to which all pairs' kernels are kept: 128 MiB a matrix."""


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of a set of features, float64; the covariance C [d, d] as a factor F with C = F^T F.

    The factor of n < d items has n rows only: the covariance is singular then, and is never formed.
    """

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Gaussian:
        """Statistics of features [n, d], n >= 2, with the unbiased covariance (divided by n - 1).

        >>> gaussian = Gaussian.of(np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 3.0]]))
        >>> gaussian.mean, np.round(gaussian.factor.T @ gaussian.factor, 9)
        (array([2., 3.]), array([[4., 2.],
               [2., 4.]]))
        """
        _check(features)
        values = features.astype(np.float64)
        mean = values.mean(axis=0)
        factor = (values - mean) / np.sqrt(len(values) - 1)
        return cls(
            mean, factor if len(factor) <= factor.shape[1] else scipy.linalg.qr(factor, mode="r")[0][: factor.shape[1]]
        )


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """Squared Frechet distance of two Gaussians (Heusel et al. 2017, eq. 6): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).

    The trace of the root is the sum of the singular values of F1 F2^T, since C1 C2 = F1^T F1 F2^T F2 has their squares
    as its eigenvalues. So no root of a matrix is taken, and singular covariances need no care.

    >>> narrow, wide = (Gaussian(np.array([0.0, shift]), np.eye(2) * s) for shift, s in ((0, 1), (3, 2)))
    >>> frechet_distance(narrow, wide)
    11.0
    """
    apart = np.square(one.mean - other.mean).sum()
    traces = np.square(one.factor).sum() + np.square(other.factor).sum()
    root = np.linalg.svd(one.factor @ other.factor.T, compute_uv=False).sum()
    return max(0.0, float(apart + traces - 2 * root))  # rounding may leave -1e-13 of two equal sets


def kernel_distance(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Kernel Inception distance of features [n, d] and [m, d]: mean and standard deviation over subsets.

    torch-fidelity's kernel (x.y / d + 1)^3 and unbiased estimator (Binkowski et al. 2018) in float64, over 100 subsets
    of 1,000 items or of half the smaller set, whichever is less: subsets as large as the set would all be the same, and
    their deviation 0. Needs 4 items on either side.
    """
    _check(one)
    _check(other)
    size = min(KID_SUBSET_SIZE, min(len(one), len(other)) // 2)
    if size < 2:
        raise ValueError(f"KID needs at least 4 items, got {len(one)} and {len(other)}")
    draw = np.random.RandomState(KID_SEED).choice  # the generator that torch-fidelity draws from
    kernel = _Kernel(one.astype(np.float64), other.astype(np.float64))
    drawn = ((draw(len(one), size, replace=False), draw(len(other), size, replace=False)) for _ in range(KID_SUBSETS))
    distances = [mmd2(*kernel.between(*pair)) for pair in drawn]
    return float(np.mean(distances)), float(np.std(distances))


class _Kernel:
    """The polynomial kernel within and between two sets; computed once for all pairs where these are not too many."""

    def __init__(self, one: np.ndarray, other: np.ndarray) -> None:
        self._sets = one, other
        few = max(len(one), len(other)) <= MAX_KERNEL_SIDE
        self._all = self._of(one, other) if few else None

    def between(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Kernel matrices within some items of the first set, from them to some of the second, and within those."""
        if self._all is None:
            return self._of(self._sets[0][first], self._sets[1][second])
        within, across, others = self._all
        return within[np.ix_(first, first)], across[np.ix_(first, second)], others[np.ix_(second, second)]

    @staticmethod
    def _of(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        within, across, others = (
            kernel_poly(*pair, **KID_KERNEL) for pair in ((one, one), (one, other), (other, other))
        )
        return within, across, others


def _check(features: np.ndarray) -> None:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"expected features [n, d] of at least 2 items, got shape {list(features.shape)}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
