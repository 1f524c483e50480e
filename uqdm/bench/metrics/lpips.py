"""Learned perceptual image patch similarity, with the AlexNet backbone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.features.perceptual_weights import ALEXNET, fetch, missing
from uqdm.bench.metrics import Metric

if TYPE_CHECKING:
    import torch

    from uqdm.bench.features.perceptual_networks import PictureFeatures

SOURCE = "Zhang, Isola, Efros, Shechtman & Wang, CVPR 2018, version 0.1 of its weights"
COMMENT = "learned perceptual image patch similarity, {}, version 0.1, pictures at their own size"

_SMALLEST_SIDE = 31  # pixels: the input of AlexNet's second pooling then still has a side of 3
_EPSILON = 1e-10  # the authors'; added to the length of a feature vector


def lpips(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """LPIPS 0.1 by AlexNet, uint8 [H, W, 3] with sides of at least 31 pixels.

    Raises :class:`~uqdm.bench.features.weight_files.WeightsError` without weights.
    """
    from uqdm.bench.features.perceptual_networks import alexnet_features

    return lpips_distances(alexnet_features(), [original_uint8], [reconstruction_uint8])[0]


def lpips_batch(originals_uint8: Sequence[np.ndarray], reconstructions_uint8: Sequence[np.ndarray]) -> list[float]:
    """As :func:`lpips`, for pictures of one size."""
    from uqdm.bench.features.perceptual_networks import alexnet_features

    return lpips_distances(alexnet_features(), originals_uint8, reconstructions_uint8)


def lpips_distances(
    network: PictureFeatures, originals_uint8: Sequence[np.ndarray], reconstructions_uint8: Sequence[np.ndarray]
) -> list[float]:
    """Distances of features (eq. 1): normalized over channels, squared differences weighted, then the spatial mean.

    Each of the network's stages adds its mean. All pictures have the same size.
    """
    import torch

    originals, reconstructions = network.of_each_original(originals_uint8), network.of_each(reconstructions_uint8)
    with torch.inference_mode():
        return [
            sum(float(_stage_distance(*stage)) for stage in zip(first, second, network.linear, strict=True))
            for first, second in zip(originals, reconstructions, strict=True)
        ]


def _stage_distance(first: torch.Tensor, second: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    difference = _unit_vectors(first) - _unit_vectors(second)  # (C, h, w)
    return (difference * difference).mean((1, 2)) @ weights


def _unit_vectors(features: torch.Tensor) -> torch.Tensor:
    return features / (features.norm(dim=0, keepdim=True) + _EPSILON)


METRIC = Metric(
    name="lpips",
    label="LPIPS",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source=SOURCE,
    comment=COMMENT.format("AlexNet"),
    smallest_side=_SMALLEST_SIDE,
    missing=partial(missing, ALEXNET),
    fetch=partial(fetch, ALEXNET),
    compute=lpips,
    compute_batch=lpips_batch,
)
