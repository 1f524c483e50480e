"""Local statistics of VGG16's features: an embedding of pictures in which Wasserstein distortion is a distance."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import torch
from torch import nn

from uqdm.bench.features.perceptual_networks import PictureFeatures, StagedNetwork, vgg16
from uqdm.bench.features.perceptual_weights import VGG16, load

N_SCALES = 3
"""Sizes of the picture that features are taken of: whole, half and a quarter."""
LOG2_SIGMA = 4.0
"""Logarithm of the width of pooling in pixels of the picture: sigma is 16, as in the authors' example."""


class LocalStatistics(StagedNetwork):
    """Pictures from 0 to 1, float32 [B, 3, H, W], to pooled features [B, c, h, w] of each stage and scale.

    The sum of the squared differences of two pictures' results is their Wasserstein distortion for a constant sigma:
    the mean over channels and positions of ((m - m')^2 + (s - s')^2), where m and s are the local mean and standard
    deviation, added over the picture itself and all stages at all scales.
    """

    def __init__(self, network: StagedNetwork, log2_sigma: float) -> None:
        super().__init__(list(network.stages))
        self._log2_sigma = log2_sigma

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """See the class."""
        side = math.sqrt(pictures.shape[-2] * pictures.shape[-1])
        found = []
        for features in self._all_features(pictures):
            ratio = side / math.sqrt(features.shape[-2] * features.shape[-1])
            found += pooled(features, max(0.0, self._log2_sigma - math.log2(ratio)))
        return found

    def _all_features(self, pictures: torch.Tensor) -> Iterator[torch.Tensor]:
        scaled = (pictures - self.get_buffer("mean")) / self.get_buffer("sd")
        yield scaled
        for scale in range(N_SCALES):
            scaled = lowpass(scaled)[..., ::2, ::2] if scale else scaled
            values = scaled
            for stage in self.stages:
                values = stage(values)
                yield values


def pooled(features: torch.Tensor, level: float) -> list[torch.Tensor]:
    """Local means and deviations of features [B, C, h, w] at a level of the pyramid, weighted for a sum of squares.

    At level 0 they are the features themselves. Between two levels, both count in proportion.
    """
    whole = math.floor(level)
    weights = {whole: whole + 1 - level, whole + 1: level - whole}
    found = []
    for at, statistics in enumerate(_pyramid(features, whole + 1)):
        if weights.get(at, 0.0) > 0:
            count = math.prod(features.shape[1:2] + statistics.shape[-2:])
            found.append(math.sqrt(weights[at] / count) * statistics)
    return found


def _pyramid(features: torch.Tensor, last: int) -> Iterator[torch.Tensor]:
    """The features, then for each level their local means and deviations [B, 2 C, h, w]; each has half the sides."""
    yield features
    mean, power = features, features * features
    for level in range(last):
        if level:
            mean, power = mean[..., ::2, ::2], power[..., ::2, ::2]
        mean, power = lowpass(mean), lowpass(power)
        yield torch.cat([mean, (power - mean * mean).clamp(min=0).sqrt()], dim=1)


def lowpass(values: torch.Tensor) -> torch.Tensor:
    """Values [B, C, h, w] under the window 1/4, 1/2, 1/4 in both directions, with zeros beyond the border."""
    side = torch.tensor([0.25, 0.5, 0.25], dtype=values.dtype, device=values.device)
    channels = values.shape[1]
    window = (side[:, None] * side).expand(channels, 1, 3, 3)
    return nn.functional.conv2d(values, window, padding=1, groups=channels)


@functools.cache
def vgg16_statistics() -> PictureFeatures:
    """The local statistics of VGG16 with average pooling; fetches its weights if they are absent.

    Raises :class:`~uqdm.bench.features.weight_files.WeightsError`.
    """
    tensors = load(VGG16)
    return PictureFeatures(LocalStatistics(vgg16(tensors, "average"), LOG2_SIGMA), tensors)
