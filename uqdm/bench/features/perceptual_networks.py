"""AlexNet and VGG16 as perceptual metrics use them: convolutions only, with the features after each of five stages.

A network is made once in a process. It keeps the features of originals, each of which is compared with many
reconstructions, as long as they fit into :data:`CACHE_BYTES`.
"""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.bench.features.perceptual_weights import ALEXNET, ALEXNET_CHANNELS, VGG16, VGG16_CHANNELS, load
from uqdm.bench.features.weight_files import WeightFiles

CACHE_BYTES = 2**28
"""Most memory for features of originals, for each network: some 140 of 64x64 by VGG16, or one of 768x512."""

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of each channel of pictures from 0 to 1. LPIPS writes the same numbers for pictures from -1 to 1."""

VGG16_STAGES = (2, 2, 3, 3, 3)
"""Convolutions of each stage. The features are those before the pooling: relu1_2, 2_2, 3_3, 4_3 and 5_3."""

Pool = Literal["max", "average", "l2"]

Features = list[torch.Tensor]
"""After each stage, float32 [C, h, w]."""


class L2Pool(nn.Module):
    """Root of the local mean square under a Hanning window, halving the sides (Ding et al., 2020, eq. 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        side = torch.tensor([0.25, 0.5, 0.25])  # a Hanning window of five pixels without its zeros
        self.register_buffer("window", (side[:, None] * side).expand(channels, 1, 3, 3).contiguous())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] to [B, C, ceil(h / 2), ceil(w / 2)]."""
        window = self.get_buffer("window")
        means = nn.functional.conv2d(values * values, window, stride=2, padding=1, groups=values.shape[1])
        return (means + 1e-12).sqrt()


class StagedNetwork(nn.Module):
    """Convolutions in stages: pictures from 0 to 1, float32 [B, 3, H, W], to the features after each stage."""

    def __init__(self, stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        mean, sd = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
        self.register_buffer("mean", mean)
        self.register_buffer("sd", sd)

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Features [B, C, h, w] after each stage."""
        values = (pictures - self.get_buffer("mean")) / self.get_buffer("sd")
        found = []
        for stage in self.stages:
            values = stage(values)
            found.append(values)
        return found


def alexnet(tensors: Mapping[str, np.ndarray]) -> StagedNetwork:
    """AlexNet with the weights of :data:`~uqdm.bench.features.perceptual_weights.ALEXNET`, a stage per convolution.

    Pictures must have sides of at least 31 pixels.
    """
    shapes = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))  # kernel, stride, padding
    sizes = zip((3, *ALEXNET_CHANNELS), ALEXNET_CHANNELS, shapes, strict=False)
    stages = []
    for number, (before, after, (kernel, stride, padding)) in enumerate(sizes):
        layers: list[nn.Module] = [nn.MaxPool2d(3, 2)] if number in (1, 2) else []
        convolution = nn.Conv2d(before, after, kernel, stride, padding)
        stages.append(nn.Sequential(*layers, convolution, nn.ReLU()))
    return _with_weights(StagedNetwork(stages), tensors)


def vgg16(tensors: Mapping[str, np.ndarray], pool: Pool = "max") -> StagedNetwork:
    """VGG16 with the weights of :data:`~uqdm.bench.features.perceptual_weights.VGG16`: five stages, ``pool`` between.

    Pictures must have sides of at least 16 pixels; for ``l2``, of 1.
    """
    channels = iter(VGG16_CHANNELS)
    stages = []
    before = 3
    for number, n_convolutions in enumerate(VGG16_STAGES):
        layers: list[nn.Module] = [_pool(pool, before)] if number else []
        for _ in range(n_convolutions):
            after = next(channels)
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            before = after
        stages.append(nn.Sequential(*layers))
    return _with_weights(StagedNetwork(stages), tensors)


def _pool(pool: Pool, channels: int) -> nn.Module:
    if pool == "l2":
        return L2Pool(channels)
    return nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2)


def _with_weights(network: StagedNetwork, tensors: Mapping[str, np.ndarray]) -> StagedNetwork:
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for number, convolution in enumerate(convolutions):
        convolution.load_state_dict(
            {part: torch.from_numpy(tensors[f"conv{number}.{part}"]) for part in ("weight", "bias")}
        )
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


class PictureFeatures:
    """A network with the linear layers of LPIPS; it keeps features of originals, at most ``cache_bytes``."""

    def __init__(
        self, network: StagedNetwork, tensors: Mapping[str, np.ndarray], cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._network = network
        self.linear = [torch.from_numpy(tensors[f"linear{number}.weight"]) for number in range(len(network.stages))]
        """The linear layers of LPIPS: a weight [C] for each channel of each stage."""
        self._cache_bytes = cache_bytes
        self._kept: OrderedDict[bytes, Features] = OrderedDict()
        self._kept_bytes = 0

    def of(self, image_uint8: np.ndarray) -> Features:
        """Features of a picture, uint8 [H, W, 3]. They must not be written to."""
        return self.of_each([image_uint8])[0]

    def of_original(self, image_uint8: np.ndarray) -> Features:
        """As :meth:`of`, for a picture that is compared with many others: its features are kept."""
        return self.of_each_original([image_uint8])[0]

    def of_each(self, images_uint8: Sequence[np.ndarray]) -> list[Features]:
        """Features of pictures of equal size in one pass, which is faster; float32 values differ in the last digit."""
        pictures = torch.stack([unit_picture(image) for image in images_uint8])
        with float32_arithmetic(), torch.inference_mode():
            stages = self._network(pictures)
        return [[stage[index] for stage in stages] for index in range(len(pictures))]

    def of_each_original(self, images_uint8: Sequence[np.ndarray]) -> list[Features]:
        """As :meth:`of_original`, for pictures of equal size."""
        images = {_key(image): image for image in images_uint8}
        found = {key: self._kept[key] for key in images if key in self._kept}
        new = {key: image for key, image in images.items() if key not in found}
        if new:
            found |= dict(zip(new, self.of_each(list(new.values())), strict=True))
        for key in images:
            self._keep(key, found[key], alone=len(new) < 2)
        return [found[_key(image)] for image in images_uint8]

    def _keep(self, key: bytes, features: Features, *, alone: bool) -> None:
        """Makes these features the last used ones; a copy, unless they are ``alone`` in the memory of their pass."""
        if key not in self._kept:
            self._kept[key] = features if alone else [stage.clone() for stage in features]
            self._kept_bytes += _n_bytes(features)
        self._kept.move_to_end(key)
        self._forget()

    def _forget(self) -> None:
        """Removes the features that were used least recently, until the others fit."""
        while self._kept_bytes > self._cache_bytes:
            self._kept_bytes -= _n_bytes(self._kept.popitem(last=False)[1])


def _key(image_uint8: np.ndarray) -> bytes:
    return hashlib.sha256(repr(image_uint8.shape).encode() + image_uint8.tobytes()).digest()


def unit_picture(image_uint8: np.ndarray) -> torch.Tensor:
    """A picture uint8 [H, W, 3] as float32 [3, H, W] from 0 to 1."""
    return torch.tensor(image_uint8).permute(2, 0, 1).float() / 255


def _n_bytes(features: Features) -> int:
    return sum(stage.nbytes for stage in features)


@functools.cache
def alexnet_features() -> PictureFeatures:
    """AlexNet as LPIPS uses it, with the weights of this machine; fetches them if they are absent.

    Raises :class:`~uqdm.bench.features.weight_files.WeightsError`, as :func:`vgg16_features` does.
    """
    return _features(ALEXNET, alexnet)


@functools.cache
def vgg16_features(pool: Pool = "max") -> PictureFeatures:
    """VGG16 with this pooling, as :func:`alexnet_features`."""
    return _features(VGG16, functools.partial(vgg16, pool=pool))


def _features(files: WeightFiles, build: Callable[[Mapping[str, np.ndarray]], StagedNetwork]) -> PictureFeatures:
    tensors = load(files)
    return PictureFeatures(build(tensors), tensors)
