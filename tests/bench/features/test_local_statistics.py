"""Guards Wasserstein distortion: a computation by hand, textures, and the order of qualities by the real network."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate
from torch import nn

from uqdm.bench.features.local_statistics import LocalStatistics
from uqdm.bench.features.perceptual_networks import IMAGENET_MEAN, IMAGENET_SD, StagedNetwork, unit_picture
from uqdm.bench.metrics import all_metrics
from uqdm.bench.metrics.wasserstein_distortion import wasserstein_distortion, wasserstein_distortion_batch

WINDOW = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])


@pytest.fixture(scope="module")
def two_stages() -> StagedNetwork:
    """A small network with random weights, built as VGG16 is."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    second = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU())
    return StagedNetwork([first, second]).eval().requires_grad_(requires_grad=False)


def distance(network: LocalStatistics, first: np.ndarray, second: np.ndarray) -> float:
    one, other = network(torch.stack([unit_picture(first)])), network(torch.stack([unit_picture(second)]))
    return sum(float((a - b).square().sum()) for a, b in zip(one, other, strict=True))


def lowpass(values: np.ndarray) -> np.ndarray:
    """Channels [C, h, w] under the window, with zeros beyond the border."""
    return np.stack([correlate(channel, WINDOW, mode="constant") for channel in values])


def statistics(features: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Local mean and standard deviation of features [C, h, w] at a level of the pyramid, of at least 1."""
    mean, power = features, features**2
    for number in range(level):
        mean, power = (lowpass(values[:, :: 2 if number else 1, :: 2 if number else 1]) for values in (mean, power))
    return mean, np.sqrt(np.maximum(power - mean**2, 0))


def by_hand(first: Sequence[np.ndarray], second: Sequence[np.ndarray], side: float, log2_sigma: float) -> float:
    total = 0.0
    for one, other in zip(first, second, strict=True):
        level = max(0.0, log2_sigma - math.log2(side / math.sqrt(one.shape[1] * one.shape[2])))
        for at in range(math.ceil(level) + 1):
            weight = max(0.0, 1 - abs(level - at))
            if at == 0:
                total += weight * float(np.mean((one - other) ** 2))
            else:
                (mean, sd), (other_mean, other_sd) = statistics(one, at), statistics(other, at)
                total += weight * float(np.mean((mean - other_mean) ** 2 + (sd - other_sd) ** 2))
    return total


def all_features(network: StagedNetwork, image_uint8: np.ndarray) -> list[np.ndarray]:
    """The normalized picture, and the features of each stage at full, half and quarter size, as float64."""
    mean, sd = (np.array(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_SD))
    picture = (image_uint8.transpose(2, 0, 1) / 255 - mean) / sd
    found = [picture]
    for scale in range(3):
        picture = lowpass(picture)[:, ::2, ::2] if scale else picture
        values = torch.from_numpy(picture)[None]
        for stage in network.double().stages:
            values = stage(values)
            found.append(values[0].numpy())
    network.float()
    return found


@pytest.mark.parametrize("log2_sigma", [0.0, 1.0, 2.6, 4.0])
def test_the_distance_is_that_of_local_gaussians(two_stages: StagedNetwork, log2_sigma: float) -> None:
    first, second = np.random.default_rng(1).integers(0, 256, (2, 40, 27, 3), dtype=np.uint8)
    sides = [all_features(two_stages, image) for image in (first, second)]
    expected = by_hand(*sides, math.sqrt(40 * 27), log2_sigma)
    network = LocalStatistics(two_stages, log2_sigma)
    # float32, and a variance as a difference of two means: relative errors of 2e-6 were measured.
    assert distance(network, first, second) == pytest.approx(expected, rel=2e-5)
    assert distance(network, first, first) == 0


def test_another_sample_of_a_texture_is_near_and_its_mean_is_not(two_stages: StagedNetwork) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    texture, shifted = noise[:, :96], noise[:, 64:]
    flat = np.full_like(texture, 128)
    squared_errors = [np.mean((texture.astype(float) - other) ** 2) for other in (shifted, flat)]
    assert squared_errors[0] > 1.9 * squared_errors[1]
    network = LocalStatistics(two_stages, 4.0)
    assert distance(network, texture, shifted) < 0.1 * distance(network, texture, flat)
    pixels = LocalStatistics(two_stages, 0.0)  # without pooling, features follow the squared error
    assert distance(pixels, texture, shifted) > distance(pixels, texture, flat)


@pytest.mark.usefixtures("perceptual_weights")
@pytest.mark.slow
def test_vgg16_orders_qualities_and_pictures_of_the_smallest_size(photographs_uint8: list[np.ndarray]) -> None:
    picture = photographs_uint8[0]
    jpegs = [jpeg(picture, quality) for quality in (5, 20, 50, 90)]
    values = wasserstein_distortion_batch([picture] * 4, jpegs)
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0 == wasserstein_distortion(picture, picture)
    # Batches sum in another order; relative differences of 1e-6 were measured.
    assert wasserstein_distortion(picture, jpegs[1]) == pytest.approx(values[1], rel=1e-4)
    (side,) = (metric.smallest_side for metric in all_metrics() if metric.name == "wasserstein_distortion")
    assert wasserstein_distortion(picture[:side, :side], jpegs[0][:side, :side]) > 0
    with pytest.raises(RuntimeError, match="too small"):
        wasserstein_distortion(picture[: side - 1], jpegs[0][: side - 1])


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
