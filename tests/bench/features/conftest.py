"""Features of demo pictures, computed once for all tests, and torch-fidelity's form of the weights."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from uqdm.bench.datasets import open_dataset
from uqdm.bench.features.extractor import Extractor
from uqdm.bench.features.extractors.inception import of_weights
from uqdm.bench.features.weight_files import Weights

N_IMAGES = 24


def jpeg(image: np.ndarray) -> np.ndarray:
    """The image after JPEG of low quality."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=20)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.fixture(scope="session")
def originals_uint8() -> list[np.ndarray]:
    dataset = open_dataset("demo", limit=N_IMAGES)
    return [dataset.load(index) for index in range(N_IMAGES)]


@pytest.fixture(scope="session")
def jpegs_uint8(originals_uint8: list[np.ndarray]) -> list[np.ndarray]:
    return [jpeg(image) for image in originals_uint8]


@pytest.fixture(scope="session")
def extractor(inception_weights: Weights) -> Extractor:
    return of_weights(inception_weights)


@pytest.fixture(scope="session")
def originals_features(extractor: Extractor, originals_uint8: list[np.ndarray]) -> np.ndarray:
    return extractor.features(originals_uint8, batch=64)


@pytest.fixture(scope="session")
def jpegs_features(extractor: Extractor, jpegs_uint8: list[np.ndarray]) -> np.ndarray:
    return extractor.features(jpegs_uint8, batch=64)


@pytest.fixture(scope="session")
def torch_fidelity_weights(inception_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights as torch-fidelity reads them: with counters and a classifier of zeros; no feature depends on it."""
    counters = {
        f"{name.removesuffix('bias')}num_batches_tracked": torch.tensor(0) for name in biases(inception_weights)
    }
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    path = tmp_path_factory.mktemp("torch-fidelity") / "inception.pth"
    network = {name: torch.from_numpy(array) for name, array in inception_weights.tensors.items()}
    torch.save({**network, **counters, **classifier}, path)
    return path


def biases(weights: Weights) -> list[str]:
    return [name for name in weights.tensors if name.endswith("bn.bias")]


@pytest.fixture(scope="session")
def torch_fidelity_network(torch_fidelity_weights: Path) -> FeatureExtractorInceptionV3:
    """torch-fidelity's own network, as its constructor makes it."""
    return FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(torch_fidelity_weights)
    )
