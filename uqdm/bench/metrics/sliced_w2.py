"""Sliced Wasserstein distance between the pixels of two sets of pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from uqdm.bench.features.patch_projections import N_DIRECTIONS, SIDE
from uqdm.bench.metrics import SetBasis, SetMetric
from uqdm.bench.metrics.sliced_wasserstein import projected_distance

LEAST = 16


def sliced_w2(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """Sliced 2-Wasserstein distance of 8x8 patches, in grey levels, from their projections.

    Each row of [n, P x K] and [m, P x K] has the projections of P patches of a picture onto K directions
    (:mod:`uqdm.bench.features.patch_projections`). The patches of all pictures are one set. The value is the root of
    the mean over directions of the squared W2 of projections. It is c for two sets whose values all differ by c, up to
    the choice of directions, and never more than the root of the mean squared error of the projected patches.

    >>> projections = np.random.default_rng(0).normal(size=(50, 2 * N_DIRECTIONS))
    >>> round(sliced_w2(projections, projections[::-1] + 2)["sliced_w2"], 6)
    2.0
    """
    first, second = (side.reshape(-1, N_DIRECTIONS) for side in (originals, pictures))
    return {"sliced_w2": projected_distance(first, second)}


METRIC = SetMetric(
    name="sliced_w2",
    label="Sliced W2",
    unit="grey levels",
    direction="lower",
    value_range=(0, float("inf")),
    source="Bonneel, Rabin, Peyre & Pfister, Journal of Mathematical Imaging and Vision 51, 2015; of patches",
    comment=f"sliced 2-Wasserstein distance of 16 patches of 8x8 an image, {N_DIRECTIONS} directions; biased for few",
    compute=sliced_w2,
    smallest_side=SIDE,
    meaningful_set=LEAST,
    meaningful_reason="with fewer, it is about the root of the mean squared error",
    extractor="projections",
    basis=SetBasis(
        n="sliced_w2_n",
        extractor="sliced_w2_extractor",
        resize="sliced_w2_resize",
        warning="sliced_w2_warning",
    ),
)
