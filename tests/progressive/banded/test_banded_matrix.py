"""Files and pictures of a model in bands are the same in other processes, with other kernels, threads and batches."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from small_bands import GOLDEN_MODEL

import uqdm
from uqdm.bench.datasets import open_dataset

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "decode_matrix.py"
MODEL = str(GOLDEN_MODEL)


def load_benchmark():
    spec = importlib.util.spec_from_file_location("banded_decode_matrix", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


matrix = load_benchmark()


@pytest.fixture(scope="module")
def images():
    """Some images of one tile of 16x16, and one of six."""
    dataset = open_dataset("demo", limit=24)
    photographs = [dataset.load(index) for index in range(len(dataset))]
    return [*(photograph[20:36, 20:36] for photograph in photographs), photographs[0][:30, :40]]


def test_the_most_different_process_makes_the_same_files(images):
    codec, images = uqdm.load_model(MODEL), images[-6:]
    files = codec.compress(images)
    # Plain kernels, no oneDNN, 2 threads. The check values of the files cover the pictures that it makes, too.
    assert matrix.encode_elsewhere(matrix.CELLS[-1], MODEL, images) == files
    found = matrix.pictures(codec, files, batch=4)
    assert matrix.compare(found, matrix.pictures(codec, files, batch=1)) == matrix.Outcome(6, 6 * 6, 0)
    assert all(np.array_equal(shown[-1], image) for shown, image in zip(found, images, strict=True))


@pytest.mark.proof
def test_every_configuration_makes_the_same_files_and_pictures(images):
    cells = matrix.cells_of(MODEL)
    assert len(cells) >= len(matrix.CELLS) - 1
    found = matrix.run(MODEL, images, cells, 1)
    assert found.n_differing_files == 0
    assert all(row.same for row in found.rows)
    assert len(found.rows) == 2 * (len(cells) - 1)
