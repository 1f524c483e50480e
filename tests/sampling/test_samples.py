"""Unconditional samples: their distribution, what they depend on, and models that cannot be sampled."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_bands import GOLDEN_MODEL, NOISE, banded_model
from small_models import SmallSections, small_codec

from uqdm.model import checkpoint
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.files import CheckpointError
from uqdm.model.schedule import Schedule, Step
from uqdm.progressive.banded.compressor import BandedUQDM
from uqdm.sampling.bands import BandedSampler
from uqdm.sampling.diffusion import DiffusionSampler
from uqdm.sampling.named import sampler_of
from uqdm.sampling.noise import SampleNoise

SCHEDULE = Schedule(16.0, 6.0, 4)
VARIANCE = 0.04
MULTISCALE = {"kind": "multiscale", "widths": [4, 8], "blocks": [1, 1], "embedding": 8}


class Bayes(Denoiser):
    """E[x | z_t] of x ~ N(0, VARIANCE), and the deviation of z_s; without ``noisy``, without the noise of the step."""

    any_schedule = True

    def __init__(self, *, noisy: bool) -> None:
        super().__init__()
        self.noisy = noisy

    def share(self, step: Step) -> float:
        return step.alpha_t * VARIANCE / (step.alpha_t**2 * VARIANCE + step.sigma_t**2)

    def deviation(self, step: Step) -> float:
        """Of z_s given z_t, whatever the process: its noise and the error of x_hat."""
        error = VARIANCE * step.sigma_t**2 / (step.alpha_t**2 * VARIANCE + step.sigma_t**2)
        return math.sqrt(step.posterior_sd**2 + step.x_weight**2 * error)

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        scale = self.deviation(step)
        if not self.noisy:
            scale = math.sqrt(scale**2 - step.posterior_sd**2)
        return Prediction(self.share(step) * z_t, torch.full_like(z_t, scale))


def model_of(denoiser: Denoiser, process: str, schedule: Schedule = SCHEDULE) -> Model:
    denoiser = denoiser.eval().requires_grad_(False)
    return Model("small", denoiser, schedule, 8, {"process": process}, "no digest")


def sections_model(*, bounded: bool = False) -> Model:
    return model_of(SmallSections((1, 3, 4, 2), bounded=bounded), "uniform")


@pytest.mark.parametrize("process", ["gaussian", "uniform"])
@pytest.mark.parametrize("n_steps", [4, 30])
def test_samples_have_the_variance_of_the_process(process: str, n_steps: int) -> None:
    """Each step multiplies z_t by a number and adds noise of a variance: that of the samples follows exactly."""
    denoiser = Bayes(noisy=process == "gaussian")
    drawn = DiffusionSampler(model_of(denoiser, process), n_steps, at_once=96).draw(96)
    variance = 1.0
    schedule = Schedule(SCHEDULE.slope, SCHEDULE.gamma_max, n_steps)
    for step in schedule.steps():
        factor = step.z_weight + step.x_weight * denoiser.share(step)
        variance = factor**2 * variance + denoiser.deviation(step) ** 2
    expected = variance / step.alpha_s**2 + (2 / 256) ** 2 / 12  # of z_0, and of rounding to levels
    squares = ((2 * drawn.astype(np.float64) + 1) / 256 - 1).ravel() ** 2
    assert abs(squares.mean() - expected) < 5 * squares.std() / math.sqrt(squares.size)


@pytest.mark.parametrize(
    "model", [sections_model(), sections_model(bounded=True), model_of(Bayes(noisy=True), "gaussian")], ids=str
)
def test_a_sample_depends_on_its_number_and_the_seed_alone(model: Model) -> None:
    whole = DiffusionSampler(model, seed=3).draw(11)
    assert np.array_equal(DiffusionSampler(model, seed=3).draw(5), whole[:5])
    assert len({sample.tobytes() for sample in whole}) == len(whole)
    assert not (DiffusionSampler(model, seed=4).draw(5) == whole[:5]).all(axis=(1, 2, 3)).any()
    # Batches of another size sum in another order: a value next to the border of two levels may cross it.
    other = DiffusionSampler(model, seed=3, at_once=3).draw(11).astype(int)
    assert np.abs(other - whole).max() <= 1
    assert (other != whole).mean() < 1e-3


def test_batches_are_bounded_and_all_of_one_size() -> None:
    seen: list[Sequence[int]] = []

    class Watched(DiffusionSampler):
        def batch(self, numbers: Sequence[int]) -> np.ndarray:
            seen.append(numbers)
            return super().batch(numbers)

    told: list[tuple[int, int]] = []
    Watched(sections_model(), at_once=4).draw(6, lambda *counts: told.append(counts))
    assert seen == [[0, 1, 2, 3], [4, 5, 5, 5]]
    assert told == [(4, 6), (6, 6)]


def test_random_numbers_are_of_their_distribution_and_differ_between_uses() -> None:
    noise, shape = SampleNoise(0, range(4)), torch.Size((4, 3, 50, 50))
    normal, uniform = noise.normal(0, shape).double(), noise.uniform(1, shape).double()
    n = normal.numel()
    assert abs(float(normal.mean())) < 5 / math.sqrt(n)
    assert abs(float(normal.square().mean()) - 1) < 5 * math.sqrt(2 / n)
    assert abs(float(uniform.mean()) - 0.5) < 5 / math.sqrt(12 * n)
    assert float(uniform.min()) > 0
    assert float(uniform.max()) < 1
    assert not torch.equal(noise.normal(0, shape), noise.normal(1, shape))


def test_a_network_for_all_noise_levels_serves_any_number_of_steps(tmp_path: Path) -> None:
    config = {"image_size": 8, "process": "gaussian", "schedule": vars(SCHEDULE), "denoiser": MULTISCALE}
    checkpoint.save(tmp_path, config, checkpoint.build(config)[0])
    found = [sampler_of(tmp_path, n_steps).draw(2) for n_steps in (None, 4, 7)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[1], found[2])
    posterior = sampler_of(tmp_path, deviation="posterior").draw(2)
    assert np.array_equal(sampler_of(tmp_path, deviation="predicted").draw(2), found[0])
    assert not np.array_equal(posterior, found[0])


def test_samples_in_bands_are_pictures_before_the_first_step_of_a_file() -> None:
    """The tiles of a wide picture of one seed, by ancestral reconstruction of nothing."""
    model = banded_model(16, noise=NOISE)
    drawn = BandedSampler(model, seed=5).draw(3)
    codec = BandedUQDM(model)
    wide = np.zeros((16, 48, 3), np.uint8)
    (found,) = codec.decompress(codec.compress([wide], seed=5), 0, "ancestral", noise_seed=5)
    assert np.array_equal(np.concatenate(list(drawn), axis=1), found)
    assert np.array_equal(BandedSampler(model, seed=5).draw(20)[:3], drawn)


def test_densities_far_below_the_bounds_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BandedSampler(banded_model(16, noise=4 * NOISE)).draw(2)


def errors() -> list[tuple[str, dict[str, Any], str]]:
    return [
        ("ntc-demo", {}, "ntc-demo is a model of transform coding, which samples no pictures"),
        (str(GOLDEN_MODEL), {"n_steps": 2}, "steps=2: .* has networks for its own steps and one density; leave it out"),
        (str(GOLDEN_MODEL), {"deviation": "posterior"}, "deviation=posterior: .*; leave it out"),
        ("uqdm-pixel", {"n_steps": 9}, "network for each of its T = 4 steps"),
        ("uqdm-pixel", {"n_steps": 0}, "steps=0: must be at least 1"),
        ("uqdm-pixel", {"deviation": "matched"}, "only models of the Gaussian process have a choice"),
        ("uqdm-pixel", {"device": "gpu"}, "device='gpu': choose cpu"),
        ("uqdm-pixel", {"seed": 1 << 32}, r"seed=4294967296: must be in 0\.\.4294967295"),
        ("uqdm-pixle", {}, "did you mean uqdm-pixel"),
    ]


@pytest.mark.parametrize(("name", "options", "message"), errors(), ids=lambda value: str(value)[-20:])
def test_what_cannot_be_sampled_is_refused_with_the_reason(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((CheckpointError, ValueError), match=message):
        sampler_of(name, **options)


def test_a_choice_that_does_not_exist_and_models_of_points_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="deviation='matched': choose one of own, posterior, predicted"):
        DiffusionSampler(model_of(Bayes(noisy=True), "gaussian"), deviation="matched")
    small_codec(tmp_path / "small", 16.0)
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    points = Model("points", Bayes(noisy=True), SCHEDULE, 1, config, "no digest")
    with pytest.raises(ValueError, match="model points is of points, not of images"):
        DiffusionSampler(points)
    with pytest.raises(ValueError, match="n=0: draw at least one sample"):
        DiffusionSampler(sections_model()).draw(0)
