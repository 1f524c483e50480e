"""Guards training of a process in bands: its loss against the codec, runs, and the checks of configurations."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from small_bands import NOISE, SMALL_BANDS, banded_model, banded_networks
from small_training import MODEL, RECIPE

from uqdm.banded import model as models
from uqdm.banded.network import N_BANDS
from uqdm.coding.bounds import Bounds
from uqdm.coding.randomness import DITHER_LEVELS
from uqdm.model.files import CONFIG, CheckpointError
from uqdm.progressive.banded.rounding import Rounding
from uqdm.progressive.banded.steps import Draws, Networks, advance, begin
from uqdm.progressive.banded.symbols import Symbols
from uqdm.training.banded_objective import MIDDLE, BandedObjective, Terms, measured, pixel_latent
from uqdm.training.config_file import read_config
from uqdm.training.contract import Batch
from uqdm.training.data.tiles import Tiles
from uqdm.training.job import TrainingCallbacks, prepare, start_objective
from uqdm.training.recipe import BandedRecipe
from uqdm.training.run import train
from uqdm.training.structure import TrainingConfigError
from uqdm.training.trainer import Training, TrainingError

MODEL_IN_BANDS = {"banded": SMALL_BANDS}
STEPS = [1.0] * 5
SHORT: dict[str, Any] = {
    "n_iterations": 8,
    "bands_until": 5,
    "batch_size": 2,
    "step_weights": STEPS,
    "picture_weights": STEPS,
    "bfloat16": False,
    "ema_decay": 0.5,
}


UNUSED = {f"networks.late.0.trunk.conv_out.{name}" for name in ("weight", "bias")}
"""The centre of the pixel step is the picture of the bands as it is: its trunk corrects nothing."""


@pytest.fixture
def write(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> Any:
    np.savez(tmp_path / "tiles.npz", np.stack(photographs_uint8)[:, :16, :16])

    def write(**changes: Any) -> Path:
        config = {
            "name": "small",
            "image_size": 16,
            "data": {"source": f"npz:{tmp_path}/tiles.npz"},
            "model": MODEL_IN_BANDS,
            "recipe": SHORT,
            "output": {"report_every": 1, "checkpoint_every": 3},
            **changes,
        }
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
        return tmp_path / "small.yaml"

    return write


def objective_of(**options: Any) -> BandedObjective:
    return BandedObjective(banded_networks(**options), STEPS, STEPS)


# ---- the loss -----------------------------------------------------------------------------------------------------


class Given(Symbols):
    """The symbols of data, which are not coded."""

    def __init__(self, data: np.ndarray):
        self.data: np.ndarray | None = data

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        assert wanted is not None
        return wanted

    def bounded(
        self, row: int, locations: np.ndarray, scales: np.ndarray, bounds: Bounds, wanted: np.ndarray | None
    ) -> np.ndarray:
        return self.free(row, locations, scales, wanted)


def test_rates_are_the_ideal_bits_of_files(photographs_uint8: list[np.ndarray]) -> None:
    """All steps of an image, with the dither of the file as noise: what is sent, latents, pictures and bits."""
    networks = Networks(banded_model(noise=NOISE), torch.device("cpu"))
    schedule, draws = networks.schedule, Draws([5], [2])
    with torch.no_grad():
        networks.networks.bands.log_deviation.copy_(6 - 0.025 * torch.arange(N_BANDS))  # each step sends a part
        networks.networks.bands.mean.fill_(30)  # so that the estimate leaves the range of levels in places
    objective = BandedObjective(networks.networks, STEPS, STEPS)
    levels = photographs_uint8[3][:16, :16].transpose(2, 0, 1)[None].astype(np.int64)
    x, known = networks.coefficients(levels), begin(networks, 1)
    for index in range(schedule.n_band_steps):
        constants, state, opened = schedule.constants[index], known.state, known.opened
        e, width = (values[state.done.numpy()] for values in (constants.x_weight, constants.width))
        w = (2 * draws.dither(index + 1, x[0].size).reshape(x.shape) + 1) / (2 * DITHER_LEVELS)
        place = ((1 - e) * state.z.numpy() + e * x) / width
        u = torch.from_numpy(np.floor(place + w) + 0.5 - w - place)
        assert float(u.abs().max()) <= 0.5
        known, coded = advance(networks, known, draws, Rounding([0]), Given(x), ideal=True)
        with torch.no_grad():
            after, rate, _ = objective._band_step(index, state, opened, torch.from_numpy(x), u)
        assert float(rate) * 256 == pytest.approx(coded.ideal_bits[0], rel=1e-6)
        assert torch.equal(after.done, known.state.done)
        assert 0 < int((after.done == index + 1).sum()) < x.size
        torch.testing.assert_close(after.z, known.state.z, rtol=0, atol=1e-9)
    assert float(known.opened.picture.abs().max()) > 128
    terms = Terms([], [], [], [], [known.opened.picture])
    width = schedule.pixel_width
    j = draws.dither(schedule.n_steps, levels.size).reshape(levels.shape) * width // DITHER_LEVELS
    pixels = torch.from_numpy(levels - MIDDLE)
    with torch.no_grad():
        objective._late_steps(terms, known.state, pixels, torch.from_numpy(j))
    for index in range(2):
        known, coded = advance(networks, known, draws, Rounding([0]), Given(levels), ideal=True)
        assert float(terms.rates[index]) * 256 == pytest.approx(coded.ideal_bits[0], rel=1e-6)
        assert known.window is not None
        if index == 0:
            middle = pixel_latent(pixels, torch.from_numpy(j), width).numpy() + MIDDLE
            inside = (middle >= 4) & (middle <= 251)
            assert np.array_equal(middle[inside], sum(known.window)[inside] / 2)
    assert np.array_equal(known.window[0], levels)


def test_gradients_reach_all_parameters(photographs_uint8: list[np.ndarray]) -> None:
    """The bands in the first part, the late steps in the second, and no others."""
    objective, recipe = objective_of(noise=NOISE), BandedRecipe(**SHORT)
    batch = Batch(np.stack(photographs_uint8)[:2, :16, :16], 2, slice(0, 2), None)
    for iteration, own in ((0, "networks.bands."), (5, "networks.late.")):
        objective.zero_grad()
        loss, rates = objective(*objective.inputs(batch, recipe, iteration, torch.Generator().manual_seed(0)))
        loss.backward()
        reached = {name for name, value in objective.named_parameters() if value.grad is not None and value.grad.any()}
        wanted = {name for name, _ in objective.named_parameters() if name.startswith(own)}
        assert wanted - reached == UNUSED & wanted
        assert not reached - wanted
        assert all(math.isfinite(float(rate)) for rate in rates.values())
        assert ("last_stage" in rates) == (iteration == 5)


def test_the_loss_falls(photographs_uint8: list[np.ndarray]) -> None:
    """Of both parts, on samples like those trained on, measured before and after with the same noise."""
    images = np.stack(photographs_uint8)[:, :16, :16]
    weights = [1.0] * 3  # of one band step and the late steps
    settings = {"n_iterations": 24, "bands_until": 12, "warm_up": 3, "learning_rate": 0.03}
    recipe = BandedRecipe(**{**SHORT, **settings, "step_weights": weights, "picture_weights": weights})
    objective = BandedObjective(banded_networks(sigmas=[40]), weights, weights)
    training = Training(objective, recipe, Tiles(images), 16)
    batch = Batch(images[:4], 4, slice(0, 4), None)

    def loss(iteration: int) -> float:
        with torch.no_grad():
            given = training.objective.inputs(batch, recipe, iteration, torch.Generator().manual_seed(0))
            return float(training.objective(*given)[0])

    for start in (0, 12):
        before = loss(start)
        late = {name: value.clone() for name, value in training.objective.networks.late.named_parameters()}
        for _ in range(12):
            training.advance()
        assert loss(start) < 0.9 * before
        after = dict(training.objective.networks.late.named_parameters())
        assert all(torch.equal(value, after[name]) for name, value in late.items()) == (start == 0)


def test_noise_does_not_depend_on_the_number_of_workers(photographs_uint8: list[np.ndarray]) -> None:
    objective, recipe = objective_of(), BandedRecipe(**SHORT)
    images = np.stack(photographs_uint8)[:4, :16, :16]

    def inputs(rows: slice) -> Any:
        return objective.inputs(Batch(images[rows], 4, rows, None), recipe, 0, torch.Generator().manual_seed(0))[:3]

    whole, parts = inputs(slice(0, 4)), [inputs(slice(0, 2)), inputs(slice(2, 4))]
    assert all(torch.equal(one, torch.cat([a, b])) for one, a, b in zip(whole, *parts, strict=True))


def test_measured_rates_are_those_of_the_loss(photographs_uint8: list[np.ndarray]) -> None:
    found = measured(objective_of(noise=NOISE), np.stack(photographs_uint8)[:2, :16, :16])
    assert len(found.rates_bpp) == len(found.psnr_db) == len(found.pictures_uint8) == 5
    assert {picture.shape for picture in found.pictures_uint8} == {(2, 16, 16, 3)}
    assert np.array_equal(*found.pictures_uint8[0])  # before the first step: one picture for all images
    assert found.psnr_db[-1] > 35  # within half of 9 levels, and mostly nearer


# ---- recipes ------------------------------------------------------------------------------------------------------


def test_each_part_has_a_warm_up_and_a_cosine() -> None:
    recipe = BandedRecipe(**{**SHORT, "n_iterations": 30, "bands_until": 10, "warm_up": 2, "learning_rate": 1.0})
    rates = [recipe.rate_at(iteration) for iteration in range(30)]
    assert rates[0] == rates[10] == 0.5
    assert rates[5] == rates[20] == pytest.approx(0.51)
    assert [recipe.trains_bands(i) for i in (0, 9, 10, 29)] == [True, True, False, False]
    assert [recipe.unbounded_at(i) for i in (0, 10)] == [0.3, 0.3]
    assert recipe.unbounded_at(29) == pytest.approx(0.3 * (1 - 19 / 5000))
    half = recipe.shortened(15)
    assert (half.n_iterations, half.bands_until) == (15, 5)
    assert recipe.choose(0, 5, np.random.default_rng(0)).n == 2
    assert (recipe.default_workers(8), recipe.x_hat_weight_at(0), recipe.all_batch_sizes) == (1, 0.0, {2})


def test_late_steps_can_have_samples_of_their_own_sizes() -> None:
    def sizes(recipe: BandedRecipe) -> list[tuple[int, int | None]]:
        plans = (recipe.choose(iteration, 5, np.random.default_rng(0)) for iteration in (4, 5))
        return [(plan.n, plan.size) for plan in plans]

    assert sizes(BandedRecipe(**SHORT, crop_size=32)) == [(2, 32), (2, 32)]
    own = BandedRecipe(**SHORT, late_batch_size=3, late_crop_size=16)
    assert sizes(own) == [(2, None), (3, 16)]
    assert own.all_batch_sizes == {2, 3}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"step_weights": STEPS[1:]}, "recipe.step_weights needs 5 entries"),
        ({"picture_weights": [*STEPS, 1.0]}, "recipe.picture_weights needs 5 entries"),
        ({"step_weights": [0.0, *STEPS[1:]]}, "recipe.step_weights=.*: must be positive"),
        ({"picture_weights": []}, r"recipe.picture_weights=\[\]: must be positive"),
        ({"step_weights": [1e9, *STEPS[1:]]}, r"recipe.step_weights\[0\]: must be at most 1000000"),
        ({"step_weights": 1.0}, "recipe.step_weights: expected a list"),
        ({"bands_until": 9}, r"recipe.bands_until=9: must be in 0..8"),
        ({"bands_until": -1}, "recipe.bands_until=-1"),
        ({"n_iterations": 0, "bands_until": 0}, "recipe.n_iterations=0: must be at least 1"),
        ({"batch_size": 0}, "recipe.batch_size=0: must be at least 1"),
        ({"crop_size": 24}, "recipe.crop_size is 24; choose a multiple of 16 of at most 16"),
        ({"crop_size": 32}, "recipe.crop_size is 32; choose"),
        ({"crop_size": 0}, "recipe.crop_size is 0; choose"),
        ({"crop_size": -16}, "recipe.crop_size is -16; choose"),
        ({"unbounded_weight": -1.0}, "recipe.unbounded_weight=-1.0: must not be negative"),
        ({"late_batch_size": 0}, "recipe.late_batch_size=0: must be at least 1"),
        ({"late_crop_size": 24}, "recipe.late_crop_size is 24; choose a multiple of 16 of at most 16"),
        ({"late_size": 16}, "unknown key 'late_size'"),
    ],
)
def test_wrong_recipes_name_the_key(write: Any, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(TrainingConfigError, match=fault):
        read_config(write(recipe={**SHORT, **changes}))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"recipe": RECIPE}, "recipe.step_weights must be given for a model of a process in bands"),
        ({"model": MODEL}, "recipe.bands_until: only models with bands have two parts"),
        ({"image_size": 24}, "model: image_size 24 is unknown; known: 16, 32"),
        ({"model": {"banded": {**SMALL_BANDS, "sigmas": [1, 2]}}}, "model: banded: sigmas .* must fall"),
        ({"model": {"banded": {**SMALL_BANDS, "wide": 2}}}, "model: banded: unknown key 'wide'"),
        (
            {"model": {"banded": {**SMALL_BANDS, "late": [{"width": 1024, "dilations": [1] * 64}] * 2}}},
            r"model: banded: describes \d+ weights, more than",
        ),
        ({"validation": {"source": "demo", "n": 2, "coded": 1, "every": 4}}, "validation.coded: training in bands"),
    ],
)
def test_wrong_configurations_name_the_key(write: Any, changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(TrainingConfigError, match=fault):
        read_config(write(**changes))


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_writes_a_model_folder_and_logs(write: Any, tmp_path: Path) -> None:
    config = write(validation={"source": "demo", "n": 2, "coded": 0, "every": 4})
    seen: list[float] = []
    callbacks = TrainingCallbacks(validated=lambda iteration, result: seen.append(result.ideal_bpp))
    train(prepare(config, None, tmp_path / "out"), callbacks)
    model = models.load(tmp_path / "out")
    assert model.config["training"]["recipe"]["bands_until"] == 5
    assert len(seen) == 3
    rows = list(csv.DictReader((tmp_path / "out" / "validation.csv").open()))
    rates = [float(rows[-1][name]) for name in (*(f"step_{i}_bpp" for i in range(1, 5)), "last_stage_bpp")]
    assert float(rows[-1]["ideal_bpp"]) == pytest.approx(sum(rates), rel=1e-3)
    assert {f"step_{i}_psnr_db" for i in range(5)} <= rows[0].keys()
    log = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert len(log) == 8
    assert float(log[-1]["last_stage_bpp"]) > 0
    assert (tmp_path / "out" / "pictures" / "00000008.png").is_file()
    with pytest.raises(TrainingError, match="holds a model already"):
        prepare(config, None, tmp_path / "out")
    (tmp_path / "out" / "model.safetensors").unlink()  # a run that was killed before the weights were in place
    assert prepare(config, None, tmp_path / "out").image_size == 16


def test_a_resumed_run_has_the_weights_of_an_undisturbed_one(write: Any, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(progress: Any) -> None:
        if progress.iteration == 7:
            raise StopError

    job = prepare(write(), None, tmp_path / "whole")
    train(job, TrainingCallbacks())
    stopped = dataclasses.replace(job, out=tmp_path / "stopped")
    with pytest.raises(StopError):
        train(stopped, TrainingCallbacks(progress=stop))
    train(stopped, TrainingCallbacks())
    assert models.load(tmp_path / "stopped").sha256 == models.load(tmp_path / "whole").sha256


def test_training_starts_from_a_model(write: Any, tmp_path: Path) -> None:
    models.save(tmp_path / "first", {"image_size": 16, **MODEL_IN_BANDS}, banded_networks(noise=NOISE), half=True)
    config = write(model=None, image_size=None, init=str(tmp_path / "first"))
    job = prepare(config, None, tmp_path / "second")
    assert job.image_size == 16
    first = models.load(tmp_path / "first").networks.state_dict()
    assert all(torch.equal(value, first[name]) for name, value in start_objective(job).networks.state_dict().items())
    (tmp_path / "first" / CONFIG).write_text('{"format": "uqdm-banded-1"}')
    with pytest.raises(CheckpointError, match=r"config\.json has no image_size, banded"):
        prepare(config, None, tmp_path / "second")
