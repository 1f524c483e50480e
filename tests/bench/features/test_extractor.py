"""Guards features: torch-fidelity's, from folded weights, for any batch, sizes and order of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from uqdm.bench.features.extractor import MAX_BATCH_PIXELS, Extractor, _batches
from uqdm.bench.features.extractors.inception import Single, of_weights
from uqdm.bench.features.network import build
from uqdm.bench.features.statistics import Gaussian, frechet_distance
from uqdm.bench.features.weight_files import Weights

# float32 with another order of additions, through about 50 layers: 9e-6 was measured on features up to 4.
ROUNDING = 5e-5


def test_features_are_torch_fidelitys(
    extractor: Extractor,
    torch_fidelity_network: FeatureExtractorInceptionV3,
    photographs_uint8: list[np.ndarray],
) -> None:
    with torch.inference_mode():
        reference = torch_fidelity_network(torch.from_numpy(np.stack(photographs_uint8)).permute(0, 3, 1, 2))[0]
    features = extractor.features(photographs_uint8)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, reference.numpy(), rtol=0, atol=ROUNDING)
    assert features.max() > 1  # so the tolerance means something


def test_distances_do_not_depend_on_the_batch(
    extractor: Extractor,
    jpegs_uint8: list[np.ndarray],
    originals_features: np.ndarray,
    jpegs_features: np.ndarray,
) -> None:
    singly = extractor.features(jpegs_uint8, batch=1)
    np.testing.assert_allclose(singly, jpegs_features, rtol=0, atol=ROUNDING)  # these were taken in one batch
    originals = Gaussian.of(originals_features)
    one, many = (frechet_distance(originals, Gaussian.of(features)) for features in (singly, jpegs_features))
    assert one == pytest.approx(many, abs=1e-3)


@pytest.mark.proof
@pytest.mark.usefixtures("ray_on_two_cores")
def test_distances_do_not_depend_on_the_number_of_workers(
    inception_weights: Weights,
    jpegs_uint8: list[np.ndarray],
    originals_features: np.ndarray,
    jpegs_features: np.ndarray,
) -> None:
    import ray

    actor = ray.remote(Extractor)
    network = Single(build(inception_weights.tensors))
    workers = [actor.options(num_cpus=1).remote(network, "", 2048, "", device="cpu") for _ in "ab"]
    halves = [jpegs_uint8[:12], jpegs_uint8[12:]]
    found = ray.get([worker.features.remote(half) for worker, half in zip(workers, halves, strict=True)])
    originals = Gaussian.of(originals_features)
    two, one = (frechet_distance(originals, Gaussian.of(each)) for each in (np.concatenate(found), jpegs_features))
    assert two == pytest.approx(one, abs=1e-3)


def test_pictures_of_several_sizes_keep_their_order(extractor: Extractor, photographs_uint8: list[np.ndarray]) -> None:
    first, second = photographs_uint8[:2]
    mixed = [first, second[:40, :52], second, first[:1, :1]]
    found = extractor.features(mixed)
    np.testing.assert_allclose(found[[0, 2]], extractor.features([first, second]), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(found[1:2], extractor.features(mixed[1:2]), rtol=0, atol=ROUNDING)
    assert found.shape == (4, 2048)
    assert extractor.features([]).shape == (0, 2048)


def test_batches_of_large_pictures_are_small() -> None:
    side = 2048
    images = [np.broadcast_to(np.uint8(0), (side, side, 3))] * 5
    groups = list(_batches(images, 32))
    assert [len(group) for group in groups] == [2, 2, 1]
    assert len(groups[0]) * side**2 <= MAX_BATCH_PIXELS
    assert [len(group) for group in _batches(images[:2], 1)] == [1, 1]


def test_pictures_of_another_type_or_shape_are_refused(extractor: Extractor) -> None:
    with pytest.raises(ValueError, match="image 1: expected uint8"):
        extractor.features([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3))])
    with pytest.raises(ValueError, match="batch=0"):
        extractor.features([np.zeros((4, 4, 3), np.uint8)], batch=0)


def test_weights_of_another_network_are_refused(inception_weights: Weights) -> None:
    tensors = dict(inception_weights.tensors)
    name = "Mixed_5b.branch1x1.conv.weight"
    with pytest.raises(ValueError, match=f"{name} is missing"):
        build({key: value for key, value in tensors.items() if key != name})
    with pytest.raises(ValueError, match=rf"{name} is of shape \[1, 2\]; expected \[64, 192, 1, 1\]"):
        build(tensors | {name: torch.zeros(1, 2)})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_gives_the_same_distances(
    inception_weights: Weights,
    jpegs_uint8: list[np.ndarray],
    originals_features: np.ndarray,
    jpegs_features: np.ndarray,
) -> None:
    features = of_weights(inception_weights, "cuda").features(jpegs_uint8)
    originals = Gaussian.of(originals_features)
    distances = [frechet_distance(originals, Gaussian.of(each)) for each in (features, jpegs_features)]
    assert distances[0] == pytest.approx(distances[1], abs=1e-3)
