"""Sliced Wasserstein distance between two sets of points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import SetMetric

N_DIRECTIONS = 512
SEED = 0


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
    first, second = (
        np.sort(points.astype(np.float64) @ directions, axis=0) for points in (originals, pictures)
    )  # (n, K)
    return {"sliced_wasserstein": float(_distances(first, second, order).mean() ** (1 / order))}


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
