"""Guards training of transform coding: its loss, runs from a configuration to a model folder, and its checks."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import norm
from small_training import MODEL, RECIPE

from uqdm.model.files import CONFIG, TRANSFORM_FORMAT, CheckpointError
from uqdm.training.config_file import read_config
from uqdm.training.contract import Batch
from uqdm.training.data.tiles import Tiles
from uqdm.training.job import TrainingCallbacks, prepare, start_objective
from uqdm.training.recipe import TransformRecipe
from uqdm.training.run import train
from uqdm.training.structure import TrainingConfigError
from uqdm.training.trainer import Training
from uqdm.training.transform_objective import TransformObjective, quantized
from uqdm.transform import folder
from uqdm.transform.blocks import BlockTransforms
from uqdm.transform.model import ROUNDING, UNIVERSAL, Level

TRANSFORM = {"architecture": "blocks", "width": 8, "hyper_width": 8, "side": 4, "refine": 4, "sections": [4, 12]}
LEVELS = [{"quantization": kind, "weight": 0.01, "step": 0.2} for kind in (ROUNDING, UNIVERSAL)]
SMALL = {"transform": {**TRANSFORM, "depths": [1, 1]}, "levels": LEVELS}
SHORT = {"n_iterations": 8, "batch_size": 4, "level_weights": [1.0, 1.0], "bfloat16": False, "ema_decay": 0.5}


@pytest.fixture
def write(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> Any:
    np.savez(tmp_path / "tiles.npz", np.stack(photographs_uint8)[:, :32, :32])

    def write(**changes: Any) -> Path:
        config = {
            "name": "small",
            "image_size": 32,
            "data": {"source": f"npz:{tmp_path}/tiles.npz"},
            "model": SMALL,
            "recipe": SHORT,
            "output": {"report_every": 1, "checkpoint_every": 3},
            **changes,
        }
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
        return tmp_path / "small.yaml"

    return write


def objective_of(*kinds: str, autocast: bool = False) -> TransformObjective:
    torch.manual_seed(0)
    options = {key: value for key, value in SMALL["transform"].items() if key != "architecture"}
    levels = [Level(kind, 0.01) for kind in kinds]
    return TransformObjective(BlockTransforms([0.2] * len(kinds), **options), levels, [1.0] * len(kinds))


def test_a_run_writes_a_model_folder_and_logs(write: Any, tmp_path: Path) -> None:
    config = write(validation={"source": "demo", "n": 2, "coded": 0, "every": 4})
    seen: list[float] = []
    callbacks = TrainingCallbacks(validated=lambda iteration, result: seen.append(result.ideal_bpp))
    train(prepare(config, None, tmp_path / "out"), callbacks)
    model = folder.load(tmp_path / "out")
    assert [level.quantization for level in model.levels] == [ROUNDING, UNIVERSAL]
    assert model.prior.rows.shape == (2, 4)
    assert len(seen) == 3
    rows = list(csv.DictReader((tmp_path / "out" / "validation.csv").open()))
    assert {"level_1_bpp", "level_2_psnr_db"} <= rows[0].keys()
    log = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert len(log) == 8
    assert float(log[-1]["total_bpp"]) > float(log[-1]["side_bpp"]) > 0
    assert (tmp_path / "out" / "pictures" / "00000008.png").is_file()


def test_a_resumed_run_has_the_weights_of_an_undisturbed_one(write: Any, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.iteration == 5:
            raise StopError

    job = prepare(write(), None, tmp_path / "whole")
    train(job, TrainingCallbacks())
    stopped = dataclasses.replace(job, out=tmp_path / "stopped")
    with pytest.raises(StopError):
        train(stopped, TrainingCallbacks(progress=stop))
    train(stopped, TrainingCallbacks())
    assert folder.load(tmp_path / "stopped").sha256[:8] == folder.load(tmp_path / "whole").sha256[:8]


def test_training_starts_from_a_model(write: Any, tmp_path: Path) -> None:
    train(prepare(write(), None, tmp_path / "first"), TrainingCallbacks())
    job = prepare(write(model=None, image_size=None, init=str(tmp_path / "first")), None, tmp_path / "second")
    assert job.image_size == 32
    first = folder.load(tmp_path / "first").transforms.state_dict()
    assert all(torch.equal(value, first[name]) for name, value in start_objective(job).transforms.state_dict().items())


@pytest.mark.parametrize(
    ("content", "fault"), [({}, r"config\.json has no transform, levels"), (SMALL, r"config\.json has no image_size")]
)
def test_training_from_a_model_without_needed_keys_names_them(
    write: Any, tmp_path: Path, content: dict[str, Any], fault: str
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / CONFIG).write_text(json.dumps({"format": TRANSFORM_FORMAT, **content}))
    with pytest.raises(CheckpointError, match=fault):
        prepare(write(model=None, image_size=None, init=str(tmp_path / "first")), None, tmp_path / "second")


def test_the_loss_falls(photographs_uint8: list[np.ndarray]) -> None:
    """On samples like those trained on, measured before and after with the same noise."""
    images = np.stack(photographs_uint8)[:, :32, :32]
    recipe = TransformRecipe(**{**SHORT, "n_iterations": 40, "warm_up": 5, "learning_rate": 0.01})
    training = Training(objective_of(ROUNDING, UNIVERSAL), recipe, Tiles(images), 32)
    batch = Batch(images[:4], 4, slice(0, 4), np.array([0, 1, 0, 1]))

    def loss() -> float:
        with torch.no_grad():
            given = training.objective.inputs(batch, recipe, 0, torch.Generator().manual_seed(0))
            return float(training.objective(*given)[0])

    before = loss()
    for _ in range(recipe.n_iterations):
        training.advance()
    assert loss() < 0.9 * before


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"recipe": {**SHORT, "level_weights": [1.0]}}, "level_weights needs 2 entries"),
        ({"recipe": {**SHORT, "level_weights": [1.0, 0.0]}}, "level_weights"),
        ({"recipe": {**SHORT, "crop_size": 24}}, "recipe.crop_size is 24"),
        ({"recipe": {**SHORT, "crop_size": 64}}, "recipe.crop_size is 64"),
        ({"image_size": 40}, "image_size is 40"),
        ({"recipe": RECIPE}, "recipe.level_weights must be given"),
        ({"model": MODEL}, "recipe.level_weights: only models with a transform"),
        ({"model": {**SMALL, "levels": []}}, "levels must have at least 1 entries|levels: must have at least 1"),
        ({"model": {**SMALL, "transform": {**TRANSFORM, "sections": [100, 100]}}}, "at most 192"),
        ({"model": {**SMALL, "transform": {**TRANSFORM, "wide": 1}}}, "unknown key 'wide'"),
        ({"validation": {"source": "demo", "n": 2, "coded": 1, "every": 4}}, "validation.coded"),
    ],
)
def test_wrong_configurations_name_the_key(write: Any, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(TrainingConfigError, match=fault):
        read_config(write(**changes))


def test_rates_are_those_of_normal_densities() -> None:
    """Latents of 0, all with the densities that untrained networks give."""
    objective = objective_of(UNIVERSAL)
    x = torch.full(
        (1, 3, 16, 16), 0.5
    )  # latents and side information of grey blocks are 0, up to the biases of networks
    level = torch.tensor([0])
    zeros = torch.zeros(1, 16, 2, 2), torch.zeros(1, 4, 1, 1)
    with torch.no_grad():
        for name, value in objective.transforms.named_parameters():
            if name.endswith("bias"):
                value.zero_()
        _, rates = objective(x, level, *zeros)
    side = -4 * math.log2(2 * norm.cdf(0.5 / 0.3) - 1)
    latents = -64 * math.log2(2 * norm.cdf(0.5) - 1)
    assert float(rates["side"]) == pytest.approx(side / 256, rel=1e-5)  # float32
    assert float(rates["total"]) == pytest.approx((side + latents) / 256, rel=1e-5)


def test_levels_of_rounding_see_rounded_latents(photographs_uint8: list[np.ndarray]) -> None:
    """Noise changes the picture of a level of universal quantization alone."""
    objective = objective_of(ROUNDING, UNIVERSAL)
    x = torch.from_numpy(photographs_uint8[0][:32, :32]).permute(2, 0, 1)[None].float().expand(2, -1, -1, -1) / 255
    errors = []
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        noise = [torch.rand(2, 16, 4, 4, generator=generator), torch.rand(2, 4, 2, 2, generator=generator)]
        single = [objective(x[i : i + 1], torch.tensor([i]), *(n[i : i + 1] - 0.5 for n in noise)) for i in range(2)]
        errors.append([float(rates["distortion"]) for _, rates in single])
    assert errors[0][0] == errors[1][0]
    assert errors[0][1] != errors[1][1]


def test_each_level_is_trained_equally_often() -> None:
    recipe = TransformRecipe(**SHORT)
    rng = np.random.default_rng(0)
    counts = sum(np.bincount(recipe.choose(i, 2, rng).steps, minlength=2) for i in range(5))
    assert counts.tolist() == [10, 10]


def test_noise_does_not_depend_on_the_number_of_workers(photographs_uint8: list[np.ndarray]) -> None:
    objective, recipe = objective_of(ROUNDING, UNIVERSAL), TransformRecipe(**SHORT)
    images, steps = np.stack([photographs_uint8[0][:32, :32]] * 4), np.array([0, 1, 0, 1])

    def inputs(rows: slice) -> Any:
        batch = Batch(images[rows], 4, rows, steps)
        return objective.inputs(batch, recipe, 0, torch.Generator().manual_seed(0))

    whole, parts = inputs(slice(0, 4)), [inputs(slice(0, 2)), inputs(slice(2, 4))]
    assert all(torch.equal(one, torch.cat([a, b])) for one, a, b in zip(whole, *parts, strict=True))


def test_validation_quantizes_as_coders_do(photographs_uint8: list[np.ndarray]) -> None:
    """A fine step gives pictures near the image, a coarse one fewer bits."""
    images = np.stack(photographs_uint8)[:1, :32, :32]
    bits, errors = [], []
    for step in (0.02, 0.5):
        objective = objective_of(ROUNDING)
        with torch.no_grad():
            objective.transforms.log_gain.fill_(-math.log(step))
        with torch.inference_mode():
            pictures, found = quantized(objective, images, 0)
        bits.append(float(found[0]))
        errors.append(np.mean((pictures.astype(float) - images) ** 2))
    assert bits[0] > bits[1]
    assert errors[0] < errors[1]
