"""A file decodes to the same pixels with any configuration of the network whose errors are within its tolerance."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import uqdm
from uqdm.bench.datasets import open_dataset
from uqdm.codec import StreamError
from uqdm.progressive import tiles, tolerance
from uqdm.progressive.predictor import Outputs

pytestmark = pytest.mark.slow

MODEL = "uqdm-pixel"
BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "decode_matrix.py"


def load_benchmark():
    spec = importlib.util.spec_from_file_location("decode_matrix", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


matrix = load_benchmark()


@pytest.fixture(scope="module")
def images():
    """48 images of one tile, and two of four."""
    dataset = open_dataset("demo", limit=48)
    one = np.stack([dataset.load(index) for index in range(48)])
    return [*one, tiles.join(one[:4], 128, 128), tiles.join(one[9:13], 70, 100)]


@pytest.fixture(scope="module")
def model():
    return uqdm.load_model(MODEL)


@pytest.fixture(scope="module")
def files(model, images):
    return model.compress(images)


@pytest.fixture(scope="module")
def expected(model, files):
    return matrix.pictures(model, files, batch=1)


@pytest.mark.proof
def test_every_configuration_decodes_to_the_same_pictures(files, images, expected):
    assert len(files) >= 50
    with ThreadPoolExecutor(2) as pool:
        elsewhere = pool.map(lambda cell: matrix.decode_elsewhere(cell, MODEL, files)[0], matrix.CELLS)
        for cell, found in zip(matrix.CELLS, elsewhere, strict=True):
            assert matrix.compare(found, expected) == matrix.Outcome(len(files), 6 * len(files), 0), cell.name
    assert all((shown[-1] == image).all() for shown, image in zip(expected, images, strict=True))


@pytest.mark.proof
def test_files_of_the_most_different_configuration_decode_here(model, images):
    files = matrix.encode_elsewhere(matrix.CELLS[-1], MODEL, images[:50])
    there, _ = matrix.decode_elsewhere(matrix.CELLS[-1], MODEL, files)
    here = matrix.pictures(model, files, batch=4)
    assert matrix.compare(here, there) == matrix.Outcome(50, 300, 0)
    assert all((shown[-1] == image).all() for shown, image in zip(here, images, strict=False))


def noisy(predictor, tolerances, share, seed):
    """The predictor's ``predict`` with errors of exactly ``share`` of the tolerance, up or down at random."""
    rng, exact = np.random.default_rng(seed), predictor.predict

    def predict(opened, number, n_s):
        outputs, step, tolerance = exact(opened, number, n_s), predictor.steps[opened.index], tolerances[opened.index]
        errors = share * rng.choice([-1.0, 1.0], (2, *outputs.x_hat.shape))
        x_hat = outputs.x_hat + errors[0] * tolerance.x_hat
        log2_scale = outputs.log2_scale + errors[1] * tolerance.log2_scale
        return Outputs(x_hat, x_hat * (step.x_weight / step.width), log2_scale)

    return predict


def test_errors_up_to_the_tolerance_change_no_pixel(files, expected, monkeypatch):
    decoder = uqdm.load_model(MODEL)
    for seed in range(2):
        predictor = decoder.predictor()
        with monkeypatch.context() as patch:
            patch.setattr(predictor, "predict", noisy(predictor, tolerance.of_model(decoder.model), 0.999, seed))
            found = matrix.pictures(decoder, files[:12], batch=1)
        assert matrix.compare(found, expected[:12]).n_differing == 0


def test_errors_far_beyond_the_tolerance_raise_stream_error(files, monkeypatch):
    decoder = uqdm.load_model(MODEL)
    predictor = decoder.predictor()
    monkeypatch.setattr(predictor, "predict", noisy(predictor, tolerance.of_model(decoder.model), 1000, 0))
    for file in files[:8]:
        with pytest.raises(StreamError, match=r"its check value differs|ends early|does not end|out of range"):
            decoder.decompress([file])


def test_a_single_differing_pixel_is_counted(expected):
    found = [shown.copy() for shown in expected[:2]]
    found[1][3, 5, 7, 2] ^= 1
    assert matrix.compare(found, expected[:2]) == matrix.Outcome(2, 12, 1)
