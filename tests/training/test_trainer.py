"""The trainer lowers the rate, repeats itself, and stops when it must."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from uqdm.model import checkpoint
from uqdm.model.checkpoint import build
from uqdm.training.config import Recipe, TrainingConfigError, read_config
from uqdm.training.data import TrainingDataError, random_crops, random_tiles
from uqdm.training.run import train_from_config
from uqdm.training.trainer import TrainingError, train
from uqdm.training.validation import evaluate

MODEL = {
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "stepwise", "widths": [8, 8, 8], "dilations": [[1], [1], [1]]},
}
RECIPE = {
    "n_iterations": 120,
    "step_shares": [0.1, 0.3, 0.3, 0.3],
    "batch_sizes": [4, 4, 4, 4],
    "crop_sizes": [16, 16, 16, 16],
    "warm_up": 10,
    "ema_decay": 0.9,
    "bfloat16": False,
}


@pytest.fixture
def folder(tmp_path, photographs_uint8):
    for i, image in enumerate(photographs_uint8):
        Image.fromarray(image).resize((80, 70)).save(tmp_path / f"{i}.png")
    Image.fromarray(photographs_uint8[0][:10]).save(tmp_path / "too_small.png")
    return tmp_path


@pytest.fixture
def config_file(tmp_path_factory):
    config = {
        "name": "small",
        "image_size": 32,
        "data": {"boxes_per_image": 4, "smallest_box": 40, "seed": 0},
        "model": MODEL,
        "recipe": RECIPE,
    }
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def trained(tiles, **changes):
    torch.manual_seed(0)
    denoiser, schedule = build(MODEL)
    return train(denoiser, schedule, tiles, Recipe(**{**RECIPE, **changes})), schedule


def test_training_lowers_the_rate_of_every_step(photographs_uint8):
    tiles = np.stack(photographs_uint8)
    torch.manual_seed(0)
    fresh, schedule = build(MODEL)
    before = evaluate(fresh, schedule, tiles[:4])
    after = evaluate(trained(tiles)[0], schedule, tiles[:4])
    for first, last in zip(before, after, strict=True):
        assert last["rate_bpp"] < first["rate_bpp"]


def test_the_same_seed_gives_the_same_weights(photographs_uint8):
    tiles = np.stack(photographs_uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    first, second = (trained(tiles, n_iterations=10)[0].state_dict() for _ in range(2))
    torch.set_num_threads(threads)
    assert all((first[key] == second[key]).all() for key in first)


def test_a_rate_that_is_not_a_number_stops_it(photographs_uint8):
    with pytest.raises(TrainingError, match=r"iteration \d+: the rate of step \d is"):
        trained(np.stack(photographs_uint8), learning_rate=1e30)


def test_a_configuration_trains_to_a_model_that_codes(folder, config_file, tmp_path_factory, photographs_uint8):
    out = tmp_path_factory.mktemp("out") / "small"
    train_from_config(config_file, folder, out, report_every=50)
    assert (out / "log.csv").read_text().count("\n") == 3  # heading, and iterations 50 and 100
    from uqdm.progressive import load_model

    model = load_model(out)
    image = photographs_uint8[0]
    assert (model.decompress(model.compress([image]))[0] == image).all()
    with pytest.raises(TrainingError, match="a model is there already"):
        train_from_config(config_file, folder, out)
    assert checkpoint.load(out).config["training"]["n_tiles"] == 32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": {**RECIPE, "speed": 1}}, r"recipe has no \['speed'\]"),
        ({"recipe": {**RECIPE, "step_shares": [1.0]}}, "step_shares needs 4 entries"),
        ({"recipe": {**RECIPE, "step_shares": [1.0, 1.0, 0, 0]}}, "must sum to 1"),
        ({"extra": 1}, "expected the keys"),
    ],
)
def test_a_wrong_configuration_is_named(config_file, change, message):
    config = {**yaml.safe_load(config_file.read_text()), **change}
    config_file.write_text(yaml.safe_dump(config))
    with pytest.raises(TrainingConfigError, match=message):
        read_config(config_file)


def test_tiles_are_deterministic_and_skip_images_that_are_too_small(folder):
    first, second = (random_tiles(folder, 32, boxes_per_image=3, seed=1, smallest_box=40) for _ in range(2))
    assert first.shape == (8 * 3, 32, 32, 3)
    assert (first == second).all()


def test_a_folder_without_usable_images_is_named(folder, tmp_path_factory):
    with pytest.raises(TrainingDataError, match="no images found"):
        random_tiles(tmp_path_factory.mktemp("empty"), 32, boxes_per_image=1, seed=0)
    with pytest.raises(TrainingDataError, match="smaller than tiles of 200"):
        random_tiles(folder, 200, boxes_per_image=1, seed=0)
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(TrainingDataError, match=r"broken.png: not a readable image"):
        random_tiles(folder, 32, boxes_per_image=1, seed=0)


def test_crops_come_from_the_tiles(photographs_uint8):
    tiles = np.stack(photographs_uint8)
    crops = random_crops(tiles, 5, 64, np.random.default_rng(0))
    both = [*tiles, *tiles[:, :, ::-1]]
    assert all(any((crop == tile).all() for tile in both) for crop in crops)


def test_the_configuration_of_the_shipped_model_is_valid():
    assert read_config(Path(__file__).parents[2] / "config/train/uqdm-demo.yaml")["name"] == "uqdm-demo"
