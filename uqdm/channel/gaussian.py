"""q = N(mu, I) against p = N(0, I): divergence, density ratio, and the truncation that bounds the ratio."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

REACH = 4.0
"""q is truncated at this many deviations beyond its mean, in the direction of mu."""
LOST_MASS = NormalDist().cdf(-REACH)
"""Mass of q beyond the truncation, 3.2e-5: the total variation distance between q and truncated q."""


def mean_of_kl(kl_bits: float) -> float:
    """Length of mu at which KL(q || p) = |mu|^2 / (2 ln 2) is ``kl_bits``.

    >>> round(mean_of_kl(2.0), 4)
    1.6651
    """
    return math.sqrt(2 * math.log(2) * kl_bits)


def log_ratio(candidates: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """log q / p of candidates [N, n], float64 [N]; -inf beyond the truncation of q."""
    square = float(mu @ mu)
    along = candidates @ mu
    cut = square + REACH * math.sqrt(square)
    return np.where(along <= cut, along - (0.5 * square + math.log1p(-LOST_MASS)), -np.inf)


def log_max_ratio(mu: np.ndarray) -> float:
    """The maximum of log q / p for truncated q: KL + 4 sqrt(2 KL) nats, plus q's normalization."""
    length = float(np.linalg.norm(mu))
    return 0.5 * length**2 + REACH * length - math.log1p(-LOST_MASS)
