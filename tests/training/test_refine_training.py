"""Guards training of second stages: pairs, the loss, runs from a configuration to a model folder, and checks."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from uqdm.codec import get_codec
from uqdm.refine import model as models
from uqdm.refine.conditions import PICTURE
from uqdm.training.config_file import read_config
from uqdm.training.data.pairs import Pairs, codecs_of, coded
from uqdm.training.job import TrainingCallbacks, prepare, start_objective
from uqdm.training.recipe import RefineRecipe
from uqdm.training.run import train
from uqdm.training.structure import TrainingConfigError
from uqdm.training.trainer import Training, TrainingProgress

SETTINGS = [{"quality": 10}, {"quality": 60}]
REFINE: dict[str, Any] = {
    "condition": "picture",
    "codec": "jpeg",
    "settings": SETTINGS,
    "residual_scale": [[0, 0.2], [2, 0.1]],
    "network": {"widths": [4, 6], "blocks": [1, 1], "embedding": 4},
}
SHORT = {"n_pairs": 12, "n_iterations": 6, "batch_size": 4, "bfloat16": False, "ema_decay": 0.5}


@pytest.fixture
def write(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> Any:
    np.savez(tmp_path / "tiles.npz", np.stack(photographs_uint8)[:, :32, :32])

    def write(**changes: Any) -> Path:
        config = {
            "name": "small",
            "image_size": 32,
            "data": {"source": f"npz:{tmp_path}/tiles.npz"},
            "model": {"refine": REFINE},
            "recipe": SHORT,
            "output": {"report_every": 1, "checkpoint_every": 2},
            **changes,
        }
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
        return tmp_path / "small.yaml"

    return write


def test_a_run_writes_a_second_stage_and_logs(write: Any, tmp_path: Path) -> None:
    config = write(validation={"source": "demo", "n": 3, "coded": 0, "every": 3})
    train(prepare(config, None, tmp_path / "out"), TrainingCallbacks())
    model = models.load(tmp_path / "out")
    assert (model.condition, model.codec) == ("picture", "jpeg")
    rows = list(csv.DictReader((tmp_path / "out" / "validation.csv").open()))
    assert [row["iteration"] for row in rows] == ["0", "3", "6"]
    # A new network predicts no residual: its mean is the decoded picture.
    assert rows[0]["mean_psnr_db"] == rows[0]["decoded_psnr_db"]
    log = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert 0 < float(log[-1]["flow_error"]) < 2
    codec = get_codec("refine", codec="jpeg:quality=10", model=str(tmp_path / "out"), steps=2)
    assert codec.decode(codec.encode([np.zeros((16, 16, 3), np.uint8)]))[0].shape == (16, 16, 3)


def test_an_interrupted_run_resumes_bit_for_bit(write: Any, tmp_path: Path) -> None:
    config = write()
    train(prepare(config, None, tmp_path / "whole"), TrainingCallbacks())

    def stop(progress: TrainingProgress) -> None:
        if progress.iteration == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(prepare(config, None, tmp_path / "parts"), TrainingCallbacks(progress=stop))
    resumed: list[int] = []
    callbacks = TrainingCallbacks(resumed=lambda iteration, step: resumed.append(iteration))
    train(prepare(config, None, tmp_path / "parts"), callbacks)
    assert resumed == [4]
    assert models.load(tmp_path / "whole").sha256 == models.load(tmp_path / "parts").sha256


def test_each_pair_is_coded_with_one_of_the_settings_in_turn(photographs_uint8: list[np.ndarray]) -> None:
    images = np.stack([photograph[:32, :32] for photograph in photographs_uint8[:5]])
    found = coded(images, codecs_of("jpeg", SETTINGS, PICTURE), PICTURE)
    for place, image in enumerate(images):
        codec = get_codec("jpeg", **SETTINGS[place % 2])
        (stream,) = codec.encode([image])
        assert found.pictures_uint8 is not None
        assert np.array_equal(found.pictures_uint8[place], codec.decode([stream])[0])
        assert found.log2_bpp[place] == pytest.approx(np.log2(8 * len(stream) / 1024), rel=1e-6)  # float32


def test_pairs_of_a_batch_belong_together(photographs_uint8: list[np.ndarray]) -> None:
    images = np.stack([photograph[:32, :32] for photograph in photographs_uint8[:6]])
    pairs = Pairs(images, coded(images, codecs_of("jpeg", [{"quality": 95}], PICTURE), PICTURE))
    batch = pairs.load(pairs.draw(20, 32, np.random.default_rng(0)))
    assert batch.conditions.pictures_uint8 is not None
    errors = np.abs(batch.images_uint8.astype(int) - batch.conditions.pictures_uint8)
    assert errors.mean(axis=(1, 2, 3)).max() < 8


def test_the_loss_falls(write: Any, tmp_path: Path) -> None:
    # With a scale of 1 the residual is far smaller than the noise, which a new network does not know.
    refine = {**REFINE, "residual_scale": [[0, 1.0]]}
    recipe = {**SHORT, "n_iterations": 60, "warm_up": 5, "learning_rate": 0.01, "mean_share": 0.0}
    job = prepare(write(model={"refine": refine}, recipe=recipe), None, tmp_path / "out")
    training = Training(start_objective(job), job.config.recipe, job.open_source(), 32)
    errors = [training.advance().rates_bpp["flow_error"] for _ in range(60)]
    assert errors[-1] < 0.9 * errors[0]  # running means, so the last one still has half of the first


def test_a_recipe_of_pairs_is_told_by_its_key(write: Any) -> None:
    recipe = read_config(write()).recipe
    assert isinstance(recipe, RefineRecipe)
    assert recipe.shortened(3) == dataclasses.replace(recipe, n_iterations=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {**SHORT, "crop_size": 16}}, "pairs cannot be cropped"),
        ({"recipe": {**SHORT, "mean_share": 2.0}}, "mean_share=2.0: must be in 0..1"),
        ({"recipe": {"n_iterations": 5, "batch_size": 2, "level_weights": [1.0]}}, "n_pairs must be given"),
        ({"model": {"refine": {**REFINE, "codec": "jpge"}}}, "jpge"),
        ({"model": {"refine": {**REFINE, "settings": [{"quality": 1000}]}}}, "quality=1000"),
        ({"validation": {"source": "demo", "n": 2, "coded": 1}}, "validation.coded"),
    ],
)
def test_wrong_configurations_are_named(write: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingConfigError, match=message):
        read_config(write(**changes))


def test_a_sample_at_time_0_sees_no_noise_of_the_image(write: Any, tmp_path: Path) -> None:
    job = prepare(write(), None, tmp_path / "out")
    objective = start_objective(job)
    for parameter in objective.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x, picture, noise = (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    rate, time = torch.zeros(2), torch.zeros(2)
    losses = [objective(x, picture, rate, factor * noise, time)[0] for factor in (1.0, 2.0)]
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0)  # float32: r and n cancel in r - n
