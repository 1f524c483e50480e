"""Sliced Wasserstein distance between two sets of points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import SetMetric

N_DIRECTIONS = 512
SEED = 0

_MOST_VALUES = 2**22  # of a side that are sorted at once: 32 MiB


def sliced_wasserstein(
    originals: np.ndarray, pictures: np.ndarray, *, order: int = 2, n_directions: int = N_DIRECTIONS
) -> Mapping[str, float]:
    """Sliced p-Wasserstein distance of two point sets [n, d] and [m, d], in the unit of the points; p is ``order``.

    The p-th root of the mean over random directions of the p-th power of the p-Wasserstein distance of the projections.
    In one dimension that distance pairs the quantiles (Peyre & Cuturi 2019, remark 2.30). Directions are drawn with a
    fixed seed, so that two calls agree. Raises ValueError for arrays of other shapes, or of no points.

    >>> points = np.random.default_rng(0).normal(size=(100, 1))
    >>> round(sliced_wasserstein(points, points + 3)["sliced_wasserstein"], 6)
    3.0
    """
    if originals.ndim != 2 or pictures.ndim != 2 or originals.shape[1] != pictures.shape[1]:
        raise ValueError(f"expected points [n, d] and [m, d], got shapes {originals.shape} and {pictures.shape}")
    if not originals.size or not pictures.size:
        raise ValueError(f"no points: shapes {originals.shape} and {pictures.shape}")
    directions = np.random.default_rng(SEED).normal(size=(originals.shape[1], n_directions))  # (d, K)
    directions /= np.linalg.norm(directions, axis=0)
    first, second = (points.astype(np.float64) @ directions for points in (originals, pictures))  # (n, K)
    return {"sliced_wasserstein": projected_distance(first, second, order)}


def projected_distance(first: np.ndarray, second: np.ndarray, order: int = 2) -> float:
    """The p-th root of the mean over columns of the p-th power of the p-Wasserstein distance of samples [n, K], [m, K].

    >>> projected_distance(np.array([[0.0, 1.0], [2.0, 5.0]]), np.array([[2.0, 4.0], [3.0, 0.0]]))
    1.3228756555322954
    """
    at_once = max(1, _MOST_VALUES // max(len(first), len(second)))  # columns
    parts = []
    for start in range(0, first.shape[1], at_once):
        one, other = (np.sort(side[:, start : start + at_once].astype(np.float64), axis=0) for side in (first, second))
        parts.append(_distances(one, other, order))
    return float(np.concatenate(parts).mean() ** (1 / order))


def _distances(first: np.ndarray, second: np.ndarray, order: int) -> np.ndarray:
    """p-th power of the p-Wasserstein distance [K] of each column's samples, sorted: the integral of quantile gaps."""
    cuts = np.union1d(*(np.arange(1, len(side) + 1) / len(side) for side in (first, second)))
    widths = np.diff(cuts, prepend=0)
    middles = cuts - widths / 2  # inside each piece, where neither quantile function jumps
    gaps = first[(middles * len(first)).astype(int)] - second[(middles * len(second)).astype(int)]
    return widths @ np.abs(gaps) ** order


METRIC = SetMetric(
    name="sliced_wasserstein",
    label="Sliced Wasserstein",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Bonneel, Rabin, Peyre & Pfister, Journal of Mathematical Imaging and Vision 51, 2015",
    comment=f"sliced 2-Wasserstein distance over {N_DIRECTIONS} directions, for point data",
    takes="points",
    smallest_set=1,
    compute=sliced_wasserstein,
)
