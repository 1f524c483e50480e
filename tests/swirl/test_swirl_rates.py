"""Rates of points against other computations of the same bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from uqdm.diffusion.levels import levels_of
from uqdm.model.checkpoint import build
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.schedule import Schedule
from uqdm.swirl import rates
from uqdm.swirl.measure import held_out
from uqdm.swirl.pictures import progressive, samples
from uqdm.swirl.rates import nelbo_bits
from uqdm.swirl.systems import ScaledDenoiser, SwirlSystem, fitted_factors, with_forward_kernel
from uqdm.swirl.training import model_config
from uqdm.training.objective import DiffusionObjective

POINTS = held_out(512)


def untrained(kind: str, n_steps: int, *, name: str = "one") -> SwirlSystem:
    config = model_config(kind, n_steps)
    torch.manual_seed(0)
    denoiser, schedule = build(config)
    return SwirlSystem(name, denoiser.eval(), schedule, levels_of(config), is_gaussian=config["process"] == "gaussian")


@pytest.mark.parametrize(("kind", "n_steps"), [("learned", 5), ("vdm", 10)])
def test_bound_equals_the_training_objective(kind: str, n_steps: int) -> None:
    system = untrained(kind, n_steps)
    objective = DiffusionObjective(
        system.denoiser,
        LearnedSchedule(system.schedule),
        process="gaussian" if system.is_gaussian else "uniform",
        levels=system.levels,
    )
    x = system.levels.to_data(POINTS[:, None, None, :])
    noise = objective.draw(lambda: torch.empty_like(x), n_steps, torch.Generator().manual_seed(3))
    with torch.no_grad():
        whole = float(objective(x, noise, None)[0])
    # Other noise for the same 512 points; a point's rate has a deviation of about its mean.
    assert nelbo_bits(system, POINTS, seed=1).sum(axis=1).mean() == pytest.approx(whole, rel=0.1)


def test_sampled_steps_estimate_the_rate_of_a_long_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    system = untrained("vdm", 96)
    some = nelbo_bits(system, POINTS, seed=0)[:, 1]
    monkeypatch.setattr(rates, "N_DRAWN", 96)
    every = nelbo_bits(system, POINTS, seed=1)[:, 1]
    error = np.hypot(some.std(), every.std()) / np.sqrt(len(POINTS))
    assert some.mean() == pytest.approx(every.mean(), abs=4 * error)


def test_fitted_factor_corrects_the_deviation_of_an_untrained_network() -> None:
    system = untrained("fixed", 4)
    factors = fitted_factors(system, seed=0)
    scaled = SwirlSystem("scaled", ScaledDenoiser(system.denoiser, factors), system.schedule, system.levels)
    plain, fitted = (nelbo_bits(one, POINTS, seed=0)[:, 1].mean() for one in (system, scaled))
    assert max(factors) > 1  # untrained, its error is larger than the noise
    assert fitted < plain


def test_forward_kernel_has_the_larger_deviation() -> None:
    system = untrained("fixed", 5)
    other, step = with_forward_kernel(system), system.schedule.step(2)
    z = torch.zeros(1, 2, 1, 1)
    ratio = other.denoiser(z, step).scale / system.denoiser(z, step).scale
    assert ratio.flatten().tolist() == pytest.approx([step.sigma_t / step.sigma_s] * 2, rel=1e-6)  # float32


@pytest.mark.parametrize(("kind", "n_steps"), [("learned", 4), ("vdm", 24)])
def test_progressive_points_begin_unknown_and_end_exact(kind: str, n_steps: int) -> None:
    system = untrained(kind, n_steps)
    places = progressive(system, POINTS[:64], seed=0)
    assert [place.n_known for place in places][-2:] == [n_steps, n_steps + 1]
    assert places[0].n_known == 0
    assert not places[0].rate_bits.any()
    means = [place.rate_bits.mean() for place in places]
    assert all(late > early for early, late in itertools.pairwise(means[:-1]))
    assert means[-1] > means[-2] - 1e-4  # the last stage: 0 on the finest schedule, but for x in float32
    errors = [np.abs(place.points_uint8.astype(int) - POINTS[:64]).mean() for place in places]
    assert errors[0] > 20
    assert errors[-2] < 2  # the noise of z_0 is half a level wide, or less
    assert errors[-1] == 0


def test_samples_of_an_ideal_denoiser_follow_the_data() -> None:
    """With an x_hat that is one point whatever z_t, the reverse process ends at that point, within its noise."""
    system = untrained("vdm", 40)
    target = system.levels.to_data(np.array([[[[200, 40]]]], np.uint8))

    class Knowing(ScaledDenoiser):
        def forward(self, z_t, step):  # type: ignore[no-untyped-def]
            found = super().forward(z_t, step)
            return type(found)(target.expand_as(z_t), found.scale)

    knowing = SwirlSystem("knowing", Knowing(system.denoiser, [1.0] * 40), Schedule(14.0, 5.0, 40), system.levels, True)
    drawn = samples(knowing, 200, seed=0).astype(int)
    assert np.abs(drawn - [200, 40]).max() <= 3  # gamma_0 = -9: a deviation of half a level, twice
