"""Deep image structure and texture similarity."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from uqdm.bench.features.perceptual_weights import DISTS, VGG16, fetch, load, missing
from uqdm.bench.metrics import Metric

if TYPE_CHECKING:
    import torch

_SMALLEST_SIDE = 17  # pixels: halved four times, rounded up, this is 2; a single position has no structure to compare
_C1 = _C2 = 1e-6


def dists(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """DISTS of uint8 [H, W, 3] with sides of at least 17 pixels (eqs. 4 to 6).

    Pictures are compared at their own size, as the authors' function does by default, and as is usual for codecs; their
    quality assessment first resizes the shorter side to 256 pixels.
    Raises :class:`~uqdm.bench.features.weight_files.WeightsError` without weights.
    """
    return dists_batch([original_uint8], [reconstruction_uint8])[0]


def dists_batch(originals_uint8: Sequence[np.ndarray], reconstructions_uint8: Sequence[np.ndarray]) -> list[float]:
    """As :func:`dists`, for pictures of one size."""
    import torch

    from uqdm.bench.features.perceptual_networks import unit_picture, vgg16_features

    network = vgg16_features("l2")
    originals = zip(map(unit_picture, originals_uint8), network.of_each_original(originals_uint8), strict=True)
    reconstructions = zip(map(unit_picture, reconstructions_uint8), network.of_each(reconstructions_uint8), strict=True)
    with torch.inference_mode():
        return [
            _distance([picture, *features], [decoded, *decoded_features])
            for (picture, features), (decoded, decoded_features) in zip(originals, reconstructions, strict=True)
        ]


def _distance(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> float:
    """The distance of two pictures, each with its features [C, h, w]."""
    import torch

    texture, structure = (torch.cat(terms) for terms in zip(*map(_dissimilarities, first, second), strict=True))
    alpha, beta = _weights()
    return float(alpha @ texture + beta @ structure)


def _dissimilarities(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One minus the similarity of texture and of structure, [C], of features [C, h, w]."""
    first, second = first.flatten(1), second.flatten(1)
    mean_1, mean_2 = first.mean(1), second.mean(1)
    first, second = first - mean_1[:, None], second - mean_2[:, None]
    texture = (2 * mean_1 * mean_2 + _C1) / (mean_1**2 + mean_2**2 + _C1)
    variances = (first * first).mean(1) + (second * second).mean(1)
    structure = (2 * (first * second).mean(1) + _C2) / (variances + _C2)
    return 1 - texture, 1 - structure


@functools.cache
def _weights() -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of texture and structure, [1475] each; together their sum is one."""
    import torch

    tensors = load(DISTS)
    alpha, beta = (torch.from_numpy(tensors[name]) for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return alpha / total, beta / total


METRIC = Metric(
    name="dists",
    label="DISTS",
    unit="",
    direction="lower",
    value_range=(0, 2),
    source="Ding, Ma, Wang & Simoncelli, IEEE Transactions on Pattern Analysis and Machine Intelligence 44(5), 2022",
    comment="deep image structure and texture similarity, VGG16 with L2 pooling, pictures at their own size",
    smallest_side=_SMALLEST_SIDE,
    missing=partial(missing, VGG16, DISTS),
    fetch=partial(fetch, VGG16, DISTS),
    compute=dists,
    compute_batch=dists_batch,
)
