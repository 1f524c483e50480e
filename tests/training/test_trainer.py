"""The trainer lowers the rate, is deterministic, and stops at unusable losses, gradients and schedules."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from small_training import MODEL, RECIPE

from uqdm.model.checkpoint import build
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.schedule import Schedule
from uqdm.training.averages import Averages
from uqdm.training.data import Tiles
from uqdm.training.objective import DiffusionObjective, make_objective, schedule_fault
from uqdm.training.recipe import JointRecipe, SeparateRecipe, StepPlan
from uqdm.training.trainer import Training, TrainingError
from uqdm.training.validation import evaluate

BOUND = {
    "n_iterations": 40,
    "objective": "nelbo",
    "batch_size": 4,
    "crop_size": 16,
    "learned_schedule": ["slope", "gamma_max"],
    "warm_up": 0,
    "bfloat16": False,
}


def trained(tiles, **changes):
    torch.manual_seed(0)
    denoiser, schedule = build(MODEL)
    recipe = JointRecipe(**{**RECIPE, **changes})
    training = Training(make_objective(denoiser, schedule, recipe), recipe, Tiles(tiles), tiles.shape[1])
    for _ in range(recipe.n_iterations):
        training.advance()
    return training.averages.module.denoiser


def a_training(tiles, **recipe):
    torch.manual_seed(0)
    denoiser, schedule = build(MODEL)
    plan = JointRecipe(**{**BOUND, **recipe})
    return Training(make_objective(denoiser, schedule, plan), plan, Tiles(tiles), tiles.shape[1])


@pytest.fixture(scope="module")
def tiles(photographs_uint8):
    return np.stack(photographs_uint8)


def test_training_lowers_the_rate_of_every_step(tiles):
    torch.manual_seed(0)
    fresh, schedule = build(MODEL)
    before = evaluate(fresh, schedule, tiles[:4])
    after = evaluate(trained(tiles), schedule, tiles[:4])
    for first, last in zip(before[:4], after[:4], strict=True):
        assert last["rate_bpp"] < first["rate_bpp"]


def test_training_is_deterministic(tiles):
    first, second = (trained(tiles, n_iterations=10).state_dict() for _ in range(2))
    assert all((first[key] == second[key]).all() for key in first)


@pytest.mark.parametrize("objective", ["nelbo", "random_step"])
def test_the_whole_bound_trains_weights_schedule_and_their_averages(tiles, objective):
    training = a_training(tiles, objective=objective)
    start = training.objective.schedule.fixed()
    seen = [training.advance() for _ in range(40)]
    assert seen[-1].total_bpp < seen[0].total_bpp
    assert {"prior", "last_stage"} < seen[-1].rates_bpp.keys()
    learned, average = training.objective.schedule.fixed(), training.averages.module.schedule.fixed()
    assert learned.slope != start.slope
    assert learned.gamma_max != start.gamma_max
    # An average lies between where its parameter began and where it is, for one that moved one way.
    assert min(start.slope, learned.slope) <= average.slope <= max(start.slope, learned.slope)
    assert all(math.isfinite(progress.grad_norm) and progress.grad_norm > 0 for progress in seen)


def test_schedule_parameters_have_no_weight_decay(tiles):
    training = a_training(tiles, learning_rate=1e-12, weight_decay=1e9, n_iterations=3)
    for _ in range(3):
        training.advance()
    # A decay by 0.1 % an iteration would show; steps of 1e-12 don't.
    assert training.objective.schedule.fixed().slope == pytest.approx(18.21, rel=1e-9)


def test_non_finite_rate_stops_training(tiles):
    with pytest.raises(TrainingError, match=r"iteration \d+: the rate of step \d is"):
        trained(tiles, learning_rate=1e30)


class Unlearnable(Denoiser):
    """Its rates are finite, its gradient is not."""

    learns_schedule = True

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, z_t, step):
        return Prediction(z_t * 0 + self.weight.abs().sqrt(), torch.ones_like(z_t))


def test_non_finite_gradient_stops_training(tiles):
    recipe = JointRecipe(**RECIPE)
    training = Training(make_objective(Unlearnable(), Schedule(18.21, 6.0, 4), recipe), recipe, Tiles(tiles), 64)
    with pytest.raises(TrainingError, match=r"the gradient's norm is (nan|inf)"):
        training.advance()


def test_degenerate_schedule_stops_training(tiles):
    training = a_training(tiles)
    with torch.no_grad():
        training.objective.schedule.slope.fill_(1e-4)  # an iteration moves it by the learning rate
    with pytest.raises(TrainingError, match="the learned schedule is degenerate"):
        training.advance()


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        (Schedule(18.3, 6.0, 4), None),
        (Schedule(-18.3, 6.0, 4), "not positive"),
        (Schedule(math.nan, 6.0, 4), "slope nan"),
        (Schedule(60.0, 6.0, 4), "leaves -30..30"),
        (Schedule(35.0, 6.0, 1000), "wide"),
    ],
)
def test_schedule_fault_names_the_fault(schedule, fault):
    found = schedule_fault(schedule)
    assert found is None if fault is None else fault in found


def test_averages_follow_only_trained_parameters():
    denoiser, schedule = build(MODEL)
    objective = DiffusionObjective(denoiser, LearnedSchedule(schedule, ["slope"]))
    averages = Averages(objective, 0.5)
    with torch.no_grad():
        objective.schedule.slope.add_(1.0)
        denoiser.mean.add_(1.0)
    objective.schedule.slope.grad = torch.zeros((), dtype=torch.float64)
    averages.update(objective)
    # The first update has a decay of 2 / 11 (warm-up).
    assert float(averages.module.schedule.slope) == pytest.approx(18.21 + 9 / 11)
    assert (averages.module.denoiser.mean == 0).all()


def test_separate_training_changes_only_the_weights_of_its_step(tiles):
    recipe = SeparateRecipe(
        iterations=[5] * 4,
        batch_sizes=[[[0, 2], [3, 4]]] * 4,
        x_hat_weights=[[[0, 0.5]]] * 4,
        crop_sizes=[16] * 4,
        cool_down=[2] * 4,
        bfloat16=False,
    )
    torch.manual_seed(0)
    denoiser, schedule = build(MODEL)
    before = {key: value.clone() for key, value in denoiser.state_dict().items()}
    plan = StepPlan(recipe, 2)
    training = Training(make_objective(denoiser, schedule, recipe), plan, Tiles(tiles), 64, only_step=2)
    seen = [training.advance() for _ in range(5)]
    changed = {key for key, value in denoiser.state_dict().items() if (value != before[key]).any()}
    assert changed
    assert all(key.startswith("networks.1.") for key in changed)
    assert set(training.averages.updates) >= {f"denoiser.{key}" for key in changed}
    assert [progress.learning_rate for progress in seen][-2:] == pytest.approx([2e-3 * 4 / 100, 2e-3 * 5 / 100 * 1])
    rng = np.random.default_rng(0)
    assert [plan.choose(i, 4, rng).n for i in range(5)] == [2, 2, 2, 4, 4]


def test_learning_rates_warm_up_and_decay():
    recipe = JointRecipe(**{**RECIPE, "n_iterations": 1000, "warm_up": 10})
    assert recipe.rate_at(0) == pytest.approx(2e-4, rel=1e-3)
    assert recipe.rate_at(500) == pytest.approx(2e-3 * 0.51, rel=1e-3)
    assert recipe.rate_at(999) == pytest.approx(2e-3 * 0.02, rel=1e-2)
    constant = dataclasses.replace(recipe, decay="none")
    assert constant.rate_at(999) == 2e-3
    separate = SeparateRecipe(
        iterations=[100], batch_sizes=[[[0, 1]]], x_hat_weights=[[[0, 0.5], [9, 3.0]]], crop_sizes=[8], cool_down=[50]
    )
    assert [StepPlan(separate, 0).x_hat_weight_at(i) for i in (8, 9, 99)] == [0.5, 3.0, 3.0]
    assert StepPlan(separate, 0).learning.unbounded_at(2500) == pytest.approx(0.15)
    assert StepPlan(separate, 0).rate_at(99) == pytest.approx(2e-3 / 50)


def test_a_compiled_network_gives_the_same_rates(tiles, monkeypatch):
    # Traced as by default, but not turned into machine code: that takes minutes.
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compile_module(module, backend="eager"))
    plain, compiled = (a_training(tiles, n_iterations=2, compile=c, learned_schedule=[]) for c in (False, True))
    # Compiled arithmetic may differ in the last digits.
    assert compiled.advance().total_bpp == pytest.approx(plain.advance().total_bpp, rel=1e-4)
