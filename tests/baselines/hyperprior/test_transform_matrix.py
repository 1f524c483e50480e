"""Guards that files of transform codes decode to the same in processes that compute in other ways."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from uqdm.bench.datasets import open_dataset
from uqdm.bench.robustness.cells import PLAIN_KERNELS, Cell
from uqdm.transform.zoo import shipped_transforms

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "transform_coding.py"
SMALL = Path(__file__).with_name("golden") / "small"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("transform_coding", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_most_different_process_decodes_the_same(benchmark: ModuleType) -> None:
    dataset = open_dataset("demo", 4)
    images = [dataset.load(index) for index in range(4)]
    codec = benchmark.make_codec("uq-ntc", str(SMALL))
    files = codec.encode(images)
    cell = Cell("batch 3, 2 threads, plain, no oneDNN", 3, 2, False, PLAIN_KERNELS)
    coded = [np.frombuffer(file, np.uint8) for file in files]
    found = benchmark._elsewhere(cell, "decode", str(SMALL), "uq-ntc", 0, coded)
    for place, opened in enumerate(codec.open(files)):
        assert np.array_equal(found[3 * place], opened.y.numpy())
        assert np.array_equal(found[3 * place + 1], opened.picture)


@pytest.mark.shared
@pytest.mark.proof
@pytest.mark.parametrize("codec", ["hyperprior", "uq-ntc"])
def test_no_latent_and_no_picture_differs_in_any_process(benchmark: ModuleType, codec: str, shared: Path) -> None:
    model = "ntc-demo" if "ntc-demo" in shipped_transforms() else str(SMALL)
    path = shared / "data" / "imagenet64-sample.npz"
    images = benchmark.load_images(f"npz:{path}#eval", 200)
    assert len(images) == 200
    assert benchmark.matrix(model, images, codec, 0) == 0
