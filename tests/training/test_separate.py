"""Steps trained each by itself: the rate falls, a killed run goes on as if nothing had happened."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from uqdm.model import checkpoint
from uqdm.training.run import TrainingConfigError, read_config, train_from_config
from uqdm.training.separate import SeparateRecipe, assemble, train_step
from uqdm.training.trainer import TrainingError, evaluate

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


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads differ from run to run
    yield
    torch.set_num_threads(before)


def weights_of(folder, index):
    return torch.load(folder / f"step-{index}.pt", weights_only=True)["ema"]


def test_every_step_learns(photographs_uint8, tmp_path, one_thread):
    tiles, recipe = np.stack(photographs_uint8), SeparateRecipe(**RECIPE)
    torch.manual_seed(recipe.seed)
    fresh, schedule = checkpoint.build(MODEL)
    for index in range(4):
        train_step(MODEL, recipe, index, tiles, tmp_path, log_every=10)
        assert (tmp_path / f"step-{index}.csv").read_text().count("\n") == 1 + recipe.iterations[index] // 10
    before = evaluate(fresh, schedule, tiles[:3])
    after = evaluate(assemble(MODEL, recipe, tmp_path), schedule, tiles[:3])
    for first, last in zip(before, after, strict=True):
        assert last["rate_bpp"] < first["rate_bpp"]
    # Each run leaves the weights of the other steps alone.
    untouched = checkpoint.build(MODEL)[0].load_state_dict(weights_of(tmp_path, 1))
    assert not untouched.missing_keys
    assert all(
        torch.equal(value, weights_of(tmp_path, 1)[name])
        for name, value in fresh.state_dict().items()
        if name.startswith("networks.2.")
    )


def test_a_killed_run_goes_on_to_the_same_weights(photographs_uint8, tmp_path, one_thread):
    tiles, recipe = np.stack(photographs_uint8), SeparateRecipe(**RECIPE)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    train_step(MODEL, recipe, 2, tiles, whole, log_every=5)
    # Before the cool-down the learning rate does not depend on where the run will end.
    train_step(MODEL, replace(recipe, iterations=[20, 60, 30, 60], cool_down=[1, 1, 1, 1]), 2, tiles, parts)
    first = weights_of(parts, 2)
    train_step(MODEL, recipe, 2, tiles, parts, log_every=5)
    expected, found = weights_of(whole, 2), weights_of(parts, 2)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert any(not torch.equal(first[name], found[name]) for name in found)


def test_a_loss_that_is_not_a_number_stops_it(photographs_uint8, tmp_path):
    recipe = SeparateRecipe(**{**RECIPE, "learning_rate": 1e30})
    with pytest.raises(TrainingError, match=r"step 3, iteration \d+: the rate is"):
        train_step(MODEL, recipe, 3, np.stack(photographs_uint8), tmp_path)


@pytest.fixture
def config_file(tmp_path):
    config = {
        "name": "small",
        "image_size": 32,
        "data": {"boxes_per_image": 4, "smallest_box": 40, "seed": 0},
        "model": MODEL,
        "recipe": RECIPE,
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_configuration_with_iterations_for_each_step_trains_them_separately(config_file, tmp_path, photographs_uint8):
    folder, seen = tmp_path / "images", []
    folder.mkdir()
    for i, image in enumerate(photographs_uint8):
        Image.fromarray(image).resize((80, 70)).save(folder / f"{i}.png")
    train_from_config(config_file, folder, tmp_path / "model", seen.append, n_iterations=40)
    model = checkpoint.load(tmp_path / "model")
    assert model.denoiser.bounded
    assert model.config["training"]["recipe"]["iterations"] == [4, 12, 12, 12]
    assert seen[-1].iteration == 0  # no run came to its first row of the log
    assert not (tmp_path / "model" / "tiles.npy").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iterations": [1, 1]}, r"recipe.batch_sizes needs 2 entries"),
        ({"batch_sizes": [[[5, 4]]] * 4}, "must begin at iteration 0"),
        ({"step_shares": [1]}, r"recipe has no \['step_shares'\]"),
    ],
)
def test_a_wrong_recipe_is_named(config_file, change, message):
    config = yaml.safe_load(config_file.read_text())
    config["recipe"] |= change
    config_file.write_text(yaml.safe_dump(config))
    with pytest.raises(TrainingConfigError, match=message):
        read_config(config_file)
