"""Learned perceptual image patch similarity, with the AlexNet backbone."""

from __future__ import annotations

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

    return lpips_distance(alexnet_features(), original_uint8, reconstruction_uint8)


def lpips_distance(network: PictureFeatures, original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """The distance of features (eq. 1): normalized over channels, squared differences weighted, then the spatial mean.

    Each of the network's stages adds its mean.
    """
    import torch

    pairs = zip(network.of_original(original_uint8), network.of(reconstruction_uint8), network.linear, strict=True)
    with torch.inference_mode():
        return sum(float(_stage_distance(*pair)) for pair in pairs)


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
)
