"""Guards LPIPS and DISTS: the published values, independent implementations, and the smallest pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.functional.image.dists as their_dists
import torchvision
from PIL import Image
from torchmetrics.functional.image.lpips import _NoTrainLpips

from uqdm.bench.datasets import open_dataset
from uqdm.bench.features.perceptual_networks import PictureFeatures, alexnet, alexnet_features, vgg16, vgg16_features
from uqdm.bench.features.perceptual_weights import ALEXNET, ALEXNET_CHANNELS, VGG16, VGG16_CHANNELS, load
from uqdm.bench.features.weight_files import Arrays
from uqdm.bench.metrics import all_metrics
from uqdm.bench.metrics.dists import _dissimilarities, dists
from uqdm.bench.metrics.lpips import lpips, lpips_distances
from uqdm.bench.metrics.lpips_vgg import lpips_vgg

Distance = Callable[[np.ndarray, np.ndarray], float]
N_PICTURES = 32


def random_weights(channels: tuple[int, ...], kernels: tuple[int, ...], taps: tuple[int, ...]) -> Arrays:
    """Weights that keep the size of features, and positive linear layers."""
    generator = np.random.default_rng(5)
    tensors: Arrays = {}
    for number, (before, after, side) in enumerate(zip((3, *channels), channels, kernels, strict=False)):
        sd = np.float32((2 / (before * side**2)) ** 0.5)
        tensors[f"conv{number}.weight"] = generator.standard_normal((after, before, side, side), np.float32) * sd
        tensors[f"conv{number}.bias"] = generator.standard_normal(after, np.float32) * np.float32(0.1)
    tensors |= {f"linear{n}.weight": generator.random(channels[tap], np.float32) for n, tap in enumerate(taps)}
    return tensors


@pytest.fixture(scope="module")
def random_alexnet() -> Arrays:
    return random_weights(ALEXNET_CHANNELS, (11, 5, 3, 3, 3), (0, 1, 2, 3, 4))


@pytest.fixture(scope="module")
def random_vgg16() -> Arrays:
    return random_weights(VGG16_CHANNELS, (3,) * 13, (1, 3, 6, 9, 12))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def their_lpips(kind: str, tensors: Arrays) -> Distance:
    """torchmetrics' LPIPS with these convolutions and linear layers."""
    network = _NoTrainLpips(net=kind, pnet_rand=True)  # the public class fetches weights by itself
    _fill(network.net, tensors)
    for number, layer in enumerate(network.lins):
        layer.model[-1].weight.data = torch.from_numpy(tensors[f"linear{number}.weight"])[None, :, None, None]
    network.eval()

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        pair = [torch.tensor(side).permute(2, 0, 1)[None].float() / 127.5 - 1 for side in (first, second)]
        return float(network(*pair))

    return distance


def _fill(network: torch.nn.Module, tensors: Arrays) -> None:
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    for number, layer in enumerate(convolutions):
        layer.weight.data = torch.from_numpy(tensors[f"conv{number}.weight"])
        layer.bias.data = torch.from_numpy(tensors[f"conv{number}.bias"])


@pytest.mark.parametrize("size", [(31, 64), (48, 33)])
def test_lpips_is_that_of_torchmetrics(
    random_alexnet: Arrays, photographs_uint8: list[np.ndarray], size: tuple[int, int]
) -> None:
    original = np.ascontiguousarray(photographs_uint8[0][: size[0], : size[1]])
    network = PictureFeatures(alexnet(random_alexnet), random_alexnet)
    (value,) = lpips_distances(network, [original], [jpeg(original, 10)])
    # float32 of both, in another order; torchmetrics adds 1e-8 to squared lengths, the authors 1e-10 to lengths.
    assert value == pytest.approx(their_lpips("alex", random_alexnet)(original, jpeg(original, 10)), rel=1e-5)
    assert value > 0
    assert lpips_distances(network, [original], [original]) == [0]


@pytest.mark.proof
def test_lpips_vgg_is_that_of_torchmetrics(random_vgg16: Arrays, photographs_uint8: list[np.ndarray]) -> None:
    theirs = their_lpips("vgg", random_vgg16)
    network = PictureFeatures(vgg16(random_vgg16), random_vgg16)
    for size in ((16, 16), (35, 50)):
        original = np.ascontiguousarray(photographs_uint8[1][: size[0], : size[1]])
        (value,) = lpips_distances(network, [original], [jpeg(original, 10)])
        assert value == pytest.approx(theirs(original, jpeg(original, 10)), rel=1e-5)


def test_features_of_originals_are_kept_within_bounds(random_alexnet: Arrays) -> None:
    pictures = [np.full((40, 40, 3), grey, np.uint8) for grey in range(4)]
    network = alexnet(random_alexnet)
    one = PictureFeatures(network, random_alexnet)
    n_bytes = sum(stage.nbytes for stage in one.of(pictures[0]))
    kept = PictureFeatures(network, random_alexnet, cache_bytes=2 * n_bytes)
    first = [kept.of_original(picture) for picture in pictures[:3]]
    assert kept.of_original(pictures[2]) is first[2]
    assert kept.of_original(pictures[1]) is first[1]
    again = kept.of_original(pictures[0])  # the two above were used later
    assert again is not first[0]
    assert all(map(torch.equal, again, first[0]))
    too_large = PictureFeatures(network, random_alexnet, cache_bytes=n_bytes - 1)
    assert too_large.of_original(pictures[0]) is not too_large.of_original(pictures[0])
    assert all(map(torch.equal, too_large.of_original(pictures[0]), again))


def test_batches_give_the_values_of_single_pictures(
    random_alexnet: Arrays, photographs_uint8: list[np.ndarray]
) -> None:
    originals = photographs_uint8[:4]
    decoded = [jpeg(original, 10) for original in originals]
    network = PictureFeatures(alexnet(random_alexnet), random_alexnet)
    lpips_distances(network, originals[1:2], decoded[1:2])  # one is known, the others are new
    together = lpips_distances(network, [*originals, originals[0]], [*decoded, originals[0]])
    other = PictureFeatures(alexnet(random_alexnet), random_alexnet)
    alone = [lpips_distances(other, [one], [picture])[0] for one, picture in zip(originals, decoded, strict=True)]
    # Another order of float32 additions.
    assert together == pytest.approx([*alone, 0], rel=1e-5, abs=1e-9)


def test_similarities_of_dists_by_hand() -> None:
    """Two channels of 1 x 2: means 1 and 3 against 2 and 2, deviations 1 and 0 against 0 and 2."""
    first = torch.tensor([[[0.0, 2.0]], [[3.0, 3.0]]])
    second = torch.tensor([[[2.0, 2.0]], [[0.0, 4.0]]])
    texture, structure = _dissimilarities(first, second)
    c = 1e-6
    expected = [1 - (4 + c) / (5 + c), 1 - (12 + c) / (13 + c)]
    # float32: seven digits
    np.testing.assert_allclose(texture, expected, rtol=1e-6)
    np.testing.assert_allclose(structure, [1 - c / (1 + c), 1 - c / (4 + c)], rtol=1e-6)


@pytest.mark.parametrize(("name", "side"), [("lpips", 31), ("lpips_vgg", 16), ("dists", 17)])
def test_smallest_sides(name: str, side: int) -> None:
    (declared,) = [metric.smallest_side for metric in all_metrics() if metric.name == name]
    assert declared == side


def test_networks_refuse_smaller_pictures(random_alexnet: Arrays) -> None:
    small = np.zeros((30, 64, 3), np.uint8)
    with pytest.raises(RuntimeError, match="too small"):
        PictureFeatures(alexnet(random_alexnet), random_alexnet).of(small)


# ---- with the published weights -----------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.usefixtures("perceptual_weights")
def test_published_values(shared: Path) -> None:
    def picture(name: str, short_side: int | None = None) -> np.ndarray:
        image = Image.open(shared / "reference" / "perceptual" / f"{name}.png").convert("RGB")
        if short_side is not None:
            image = torchvision.transforms.functional.resize(
                image, short_side, torchvision.transforms.InterpolationMode.BICUBIC
            )
        return np.asarray(image)

    reference = picture("ex_ref")
    # The authors print three and four digits.
    assert lpips(reference, picture("ex_p0")) == pytest.approx(0.7219, abs=1e-4)
    assert lpips(reference, picture("ex_p1")) == pytest.approx(0.1376, abs=1e-4)
    assert dists(picture("r0", 256), picture("r1", 256)) == pytest.approx(0.3347, abs=1e-4)


@pytest.mark.proof
@pytest.mark.usefixtures("perceptual_weights")
@pytest.mark.parametrize("name", ["lpips", "lpips_vgg", "dists"])
def test_values_of_32_pictures_are_those_of_torchmetrics(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = {
        "lpips": lambda: (lpips, their_lpips("alex", load(ALEXNET))),
        "lpips_vgg": lambda: (lpips_vgg, their_lpips("vgg", load(VGG16))),
        "dists": lambda: (dists, their_distance_of_dists(monkeypatch)),
    }[name]()
    dataset = open_dataset("demo", limit=N_PICTURES)
    differences = []
    for index in range(N_PICTURES):
        original = dataset.load(index)
        decoded = jpeg(original, 5 + 3 * index)
        differences.append(abs(ours(original, decoded) - theirs(original, decoded)))
    print(f"{name}: the largest of {N_PICTURES} differences is {max(differences):.2g}")
    # Values are below 1 and have float32's seven digits; both sum some ten thousand terms.
    assert max(differences) < 2e-6


def their_distance_of_dists(monkeypatch: pytest.MonkeyPatch) -> Distance:
    def untrained(**options: Any) -> torch.nn.Module:
        return torchvision.models.vgg16(weights=None)

    monkeypatch.setattr(their_dists, "vgg16", untrained)  # its own call downloads weights
    network = their_dists.DISTSNetwork()
    stages = torch.nn.ModuleList(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    _fill(stages, load(VGG16))
    network.eval()

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        pair = [torch.tensor(side).permute(2, 0, 1)[None].float() / 255 for side in (first, second)]
        with torch.no_grad():
            return float(network(*pair))

    return distance


@pytest.mark.slow
@pytest.mark.usefixtures("perceptual_weights")
def test_a_network_is_made_once() -> None:
    assert alexnet_features() is alexnet_features()
    assert vgg16_features("l2") is vgg16_features("l2")
    assert vgg16_features("l2") is not vgg16_features()
