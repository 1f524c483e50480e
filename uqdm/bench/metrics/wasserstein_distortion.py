"""Wasserstein distortion: the distance of local statistics of VGG16's features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from uqdm.bench.features.perceptual_weights import VGG16, fetch, missing
from uqdm.bench.metrics import Metric

_SMALLEST_SIDE = 61  # pixels: a quarter of it, rounded up, is 16, which VGG16 halves four times


def wasserstein_distortion(original_uint8: np.ndarray, reconstruction_uint8: np.ndarray) -> float:
    """Wasserstein distortion for sigma 16, uint8 [H, W, 3] with sides of at least 61 pixels.

    Within some 16 pixels only means and deviations of features count, so that another sample of a texture is near. See
    :class:`~uqdm.bench.features.local_statistics.LocalStatistics`. Raises
    :class:`~uqdm.bench.features.weight_files.WeightsError` without weights.
    """
    return wasserstein_distortion_batch([original_uint8], [reconstruction_uint8])[0]


def wasserstein_distortion_batch(
    originals_uint8: Sequence[np.ndarray], reconstructions_uint8: Sequence[np.ndarray]
) -> list[float]:
    """As :func:`wasserstein_distortion`, for pictures of one size."""
    import torch

    from uqdm.bench.features.local_statistics import vgg16_statistics

    network = vgg16_statistics()
    originals, reconstructions = network.of_each_original(originals_uint8), network.of_each(reconstructions_uint8)
    with torch.inference_mode():
        return [
            sum(float((one - other).square().sum()) for one, other in zip(first, second, strict=True))
            for first, second in zip(originals, reconstructions, strict=True)
        ]


METRIC = Metric(
    name="wasserstein_distortion",
    label="Wasserstein distortion",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Qiu, Wagner, Ballé & Theis, arXiv:2310.03629; features and pyramid of balle-lab/wasserstein-distortion",
    comment="Wasserstein distortion, sigma 16, of the picture and five stages of VGG16 (average pooling) at 3 scales",
    smallest_side=_SMALLEST_SIDE,
    missing=partial(missing, VGG16),
    fetch=partial(fetch, VGG16),
    compute=wasserstein_distortion,
    compute_batch=wasserstein_distortion_batch,
)
