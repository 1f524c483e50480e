"""Learned perceptual image patch similarity, with the VGG16 backbone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from uqdm.bench.features.perceptual_weights import VGG16, fetch, missing
from uqdm.bench.metrics import Metric
from uqdm.bench.metrics.lpips import COMMENT, SOURCE, lpips_distances

_SMALLEST_SIDE = 16  # pixels: halved four times this is 1


def lpips_vgg(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """LPIPS 0.1 by VGG16, uint8 [H, W, 3] with sides of at least 16 pixels.

    Raises :class:`~uqdm.bench.features.weight_files.WeightsError` without weights.
    """
    from uqdm.bench.features.perceptual_networks import vgg16_features

    return lpips_distances(vgg16_features(), [original_uint8], [reconstruction_uint8])[0]


def lpips_vgg_batch(originals_uint8: Sequence[np.ndarray], reconstructions_uint8: Sequence[np.ndarray]) -> list[float]:
    """As :func:`lpips_vgg`, for pictures of one size."""
    from uqdm.bench.features.perceptual_networks import vgg16_features

    return lpips_distances(vgg16_features(), originals_uint8, reconstructions_uint8)


METRIC = Metric(
    name="lpips_vgg",
    label="LPIPS (VGG)",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source=SOURCE,
    comment=COMMENT.format("VGG16"),
    smallest_side=_SMALLEST_SIDE,
    missing=partial(missing, VGG16),
    fetch=partial(fetch, VGG16),
    compute=lpips_vgg,
    compute_batch=lpips_vgg_batch,
)
