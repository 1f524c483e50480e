"""Files of points: lossless, within 1 % of their ideal bits; damaged ones are refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from uqdm.codec import StreamError
from uqdm.diffusion.levels import levels_of
from uqdm.model.checkpoint import Model, as_model, build
from uqdm.progressive.points import HEADER_BYTES, PointsCodec
from uqdm.swirl.measure import held_out
from uqdm.swirl.training import model_config, recipe
from uqdm.training.data.swirl import Swirl
from uqdm.training.objective import make_objective
from uqdm.training.trainer import Training

N_POINTS = 1024


def quickly_trained(kind: str = "learned", n_steps: int = 5, n_iterations: int = 150) -> Model:
    """A model after short training: about 10 bits per dimension."""
    config = {"image_size": 1, **model_config(kind, n_steps)}
    torch.manual_seed(0)
    denoiser, schedule = build(config)
    how = recipe(kind, n_iterations, seed=0)
    objective = make_objective(denoiser, schedule, how, process=config["process"], levels=levels_of(config))
    training = Training(objective, how, Swirl(), 1)
    for _ in range(n_iterations):
        training.advance()
    return as_model(f"{kind}-quick", training.averages.module.denoiser, config)


@pytest.fixture(scope="module")
def codec() -> PointsCodec:
    return PointsCodec(quickly_trained())


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return held_out(N_POINTS)


@pytest.fixture(scope="module")
def file(codec: PointsCodec, points: np.ndarray) -> bytes:
    return codec.compress(points)


def test_points_round_trip(codec: PointsCodec, points: np.ndarray, file: bytes) -> None:
    assert np.array_equal(codec.decompress(file), points)


def test_file_is_within_1_percent_of_its_ideal_bits(codec: PointsCodec, points: np.ndarray, file: bytes) -> None:
    theirs, coded = codec.ideal_bits(points), codec.ideal_bits(points, window=True)
    assert len(theirs) == len(coded) == len(codec.steps) + 1
    assert theirs[:-1] == coded[:-1]
    assert 8 * len(file) == pytest.approx(sum(coded), rel=0.01)
    assert 8 * len(file) < 1.01 * sum(theirs)  # the paper's accounting does not use the bounds of the noise


def test_ideal_bits_equal_those_of_the_process(codec: PointsCodec, points: np.ndarray) -> None:
    from uqdm.swirl.rates import nelbo_bits
    from uqdm.swirl.systems import as_system

    parts = nelbo_bits(as_system("learned", codec.model), points, seed=1).mean(axis=0)
    ideal = np.array(codec.ideal_bits(points)) / N_POINTS
    # Other noise, and z_T from the prior: 1,024 points of some 3 bits of deviation each.
    assert ideal[:-1].sum() == pytest.approx(parts[1], rel=0.03)
    assert ideal[-1] == pytest.approx(parts[2], rel=0.03)


def test_estimates_get_better_with_every_step(codec: PointsCodec, points: np.ndarray, file: bytes) -> None:
    errors = [np.mean((codec.decompress(file, step).astype(float) - points) ** 2) for step in range(6)]
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 1  # z_0 is within a level or so


def test_a_prefix_decodes_to_its_whole_steps(codec: PointsCodec, points: np.ndarray, file: bytes) -> None:
    part = file[: len(file) // 2]
    assert np.array_equal(codec.decompress(part, step=2), codec.decompress(file, step=2))
    with pytest.raises(StreamError, match="cut or damaged"):
        codec.decompress(part)


def test_few_points_and_extreme_levels_round_trip(codec: PointsCodec) -> None:
    for block in ([[0, 0]], [[255, 255], [0, 255], [255, 0]]):
        array = np.array(block, np.uint8)
        assert np.array_equal(codec.decompress(codec.compress(array)), array)


@pytest.mark.parametrize("place", [HEADER_BYTES + 1, HEADER_BYTES + 500, -1])
def test_a_damaged_file_is_refused(codec: PointsCodec, file: bytes, place: int) -> None:
    damaged = bytearray(file)
    damaged[place] ^= 4
    with pytest.raises(StreamError):
        codec.decompress(bytes(damaged))


def test_foreign_files_and_wrong_arrays_are_refused(codec: PointsCodec, file: bytes) -> None:
    for data, named in [(b"UQ" + file[2:], "not a file of points"), (file[:5], "ends inside its header")]:
        with pytest.raises(StreamError, match=named):
            codec.decompress(data)
    with pytest.raises(StreamError, match="version 9"):
        codec.decompress(file[:2] + b"\x09" + file[3:])
    with pytest.raises(StreamError, match="load the model that made it"):
        codec.decompress(file[:3] + b"abc" + file[6:])
    with pytest.raises(ValueError, match="uint8"):
        codec.compress(np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"0\.\.5"):
        codec.decompress(file, step=6)


def test_gaussian_models_are_refused() -> None:
    config = {"image_size": 1, **model_config("vdm", 5)}
    with pytest.raises(ValueError, match="uniform process"):
        PointsCodec(as_model("vdm", build(config)[0], config))
