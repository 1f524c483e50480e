"""The Frechet distance between two sets of features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg


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
        check_features(features)
        values = features.astype(np.float64)
        mean = values.mean(axis=0)
        factor = (values - mean) / np.sqrt(len(values) - 1)
        return cls(
            mean, factor if len(factor) <= factor.shape[1] else scipy.linalg.qr(factor, mode="r")[0][: factor.shape[1]]
        )


def frechet_distance(one: Gaussian, other: Gaussian) -> float:
    """Squared Frechet distance of two Gaussians (Heusel et al. 2017, eq. 6): |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2).

    The trace of the root is the sum of the singular values of F1 F2^T, since C1 C2 = F1^T F1 F2^T F2 has their squares
    as its eigenvalues. No root of a matrix is needed, and singular covariances are no special case.

    >>> narrow, wide = (Gaussian(np.array([0.0, shift]), np.eye(2) * s) for shift, s in ((0, 1), (3, 2)))
    >>> frechet_distance(narrow, wide)
    11.0
    """
    apart = np.square(one.mean - other.mean).sum()
    traces = np.square(one.factor).sum() + np.square(other.factor).sum()
    root = np.linalg.svd(one.factor @ other.factor.T, compute_uv=False).sum()
    return max(0.0, float(apart + traces - 2 * root))  # rounding may leave -1e-13 of two equal sets


def check_features(features: np.ndarray) -> None:
    """Raises ValueError unless these are finite features [n, d] of at least 2 items."""
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"expected features [n, d] of at least 2 items, got shape {list(features.shape)}")
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
