"""Separate training: the rate of every step falls, and the steps make one model."""

import dataclasses

import numpy as np
import pytest
import torch
import yaml

from uqdm.model import checkpoint
from uqdm.progressive import load_model
from uqdm.training.data import Tiles
from uqdm.training.job import TrainingCallbacks, prepare
from uqdm.training.objective import make_objective
from uqdm.training.recipe import SeparateRecipe, StepPlan
from uqdm.training.run import train
from uqdm.training.trainer import Training, TrainingError
from uqdm.training.validation import evaluate

pytestmark = pytest.mark.slow

NETWORK = {"width": 4, "dilations": [1], "hidden": 4}
MODEL = {
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "sectioned", "networks": [NETWORK, NETWORK, NETWORK]},
}
RECIPE = {
    "iterations": [20, 60, 60, 60],
    "cool_down": [10, 20, 20, 20],
    "batch_sizes": [[[0, 4]], [[0, 4]], [[0, 2], [20, 4]], [[0, 4]]],
    "x_hat_weights": [[[0, 0.5]]] * 4,
    "crop_sizes": [16, 16, 16, 16],
    "warm_up": 5,
    "ema_decay": 0.9,
    "unbounded_until": 30,
}


@pytest.fixture(scope="module")
def tiles(photographs_uint8):
    return np.stack(photographs_uint8)


@pytest.fixture
def job(tmp_path, tiles):
    np.savez(tmp_path / "tiles.npz", tiles)
    data, output = {"source": f"npz:{tmp_path}/tiles.npz"}, {"report_every": 20, "pictures_every": 1000}
    config = {"name": "s", "image_size": 64, "data": data, "model": MODEL, "recipe": RECIPE, "output": output}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
    return prepare(tmp_path / "small.yaml", None, tmp_path / "out")


def test_separate_training_improves_every_step_and_the_model_codes(job, tiles):
    seen = []
    train(job, TrainingCallbacks(progress=seen.append))
    torch.manual_seed(0)
    fresh, schedule = checkpoint.build(MODEL)
    model = load_model(job.out)
    before, after = (evaluate(denoiser, schedule, tiles[:3])[:4] for denoiser in (fresh, model.model.denoiser))
    for first, last in zip(before, after, strict=True):
        assert last["rate_bpp"] < first["rate_bpp"]
    assert [(progress.only_step, progress.iteration) for progress in seen if progress.only_step == 0] == [(0, 20)]
    assert {progress.only_step for progress in seen} == {0, 1, 2, 3}
    # Every step's log has the rate of that step alone.
    for index in range(4):
        heading, *rows = (job.out / f"step-{index + 1}-log.csv").read_text().splitlines()
        assert len(rows) == RECIPE["iterations"][index] // 20
        row = dict(zip(heading.split(","), rows[0].split(","), strict=True))
        assert [bool(row[f"step_{i}_bpp"]) for i in range(1, 5)] == [i == index + 1 for i in range(1, 5)]
        assert float(row["x_hat_error"]) > 0


def test_non_finite_loss_stops_training(tiles):
    recipe = SeparateRecipe(**{**RECIPE, "learning_rate": 1e30})
    denoiser, schedule = checkpoint.build(MODEL)
    training = Training(make_objective(denoiser, schedule, recipe), StepPlan(recipe, 3), Tiles(tiles), 64, only_step=3)
    with pytest.raises(TrainingError, match=r"iteration \d+: (the rate of step 4|the gradient's norm) is"):
        _ = [training.advance() for _ in range(60)]


def test_shortened_recipe_keeps_the_shares_of_steps(tmp_path, job):
    recipe = prepare(tmp_path / "small.yaml", None, tmp_path / "short", n_iterations=40).config.recipe
    assert recipe.iterations == [4, 12, 12, 12]
    assert recipe.cool_down == [2, 4, 4, 4]
    assert dataclasses.replace(recipe, iterations=[1], cool_down=[1]).batch_sizes == RECIPE["batch_sizes"]


def test_separate_training_validates_start_and_end(tmp_path, job):
    validation = {"source": f"npz:{tmp_path}/tiles.npz", "n": 2, "coded": 0}
    config = yaml.safe_load((tmp_path / "small.yaml").read_text()) | {"validation": validation}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
    seen = []
    job = prepare(tmp_path / "small.yaml", None, tmp_path / "out", n_iterations=40)
    train(job, TrainingCallbacks(validated=lambda iteration, result: seen.append((iteration, result.ideal_bpp))))
    (first, before), (last, after) = seen
    assert (first, last) == (0, 40)
    assert after < before
    assert (job.out / "validation.csv").read_text().count("\n") == 3
    assert (job.out / "pictures" / "00000040.png").exists()
