"""The objective against independent computations: bounds, gradients, and the ways to estimate them."""

import math

import pytest
import torch

from uqdm.diffusion import process
from uqdm.diffusion.levels import Levels
from uqdm.diffusion.process import last_stage_bits
from uqdm.model.checkpoint import build
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.points import PointsDenoiser
from uqdm.model.schedule import Schedule
from uqdm.training.objective import DiffusionObjective

UNET = {
    "schedule": {"slope": 17.5, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4},
}
STEPWISE = {
    "schedule": UNET["schedule"],
    "denoiser": {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]},
}


def objective_of(config, *, learned=("slope", "gamma_max"), dtype=torch.float64, **options):
    torch.manual_seed(0)
    denoiser, schedule = build(config)
    for parameter in denoiser.parameters():  # what starts at zero would hide mistakes
        torch.nn.init.normal_(parameter, std=0.1)
    return DiffusionObjective(denoiser.to(dtype), LearnedSchedule(schedule, learned), **options)


def data(n=6, dtype=torch.float64, channels=3, size=8):
    levels = torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(1))
    return ((2 * levels + 1) / 256 - 1).to(dtype)


def drawn(objective, x, n_steps=4, seed=2):
    return objective.draw(lambda: torch.empty_like(x), n_steps, torch.Generator().manual_seed(seed))


SMOOTH = {**UNET, "denoiser": {**UNET["denoiser"], "fourier_features": False}}


@pytest.mark.parametrize(
    ("config", "process_name", "start", "name"),
    [
        (SMOOTH, "uniform", "posterior", "slope"),
        (STEPWISE, "uniform", "posterior", "slope"),
        (STEPWISE, "uniform", "prior", "gamma_max"),
        (STEPWISE, "gaussian", "posterior", "gamma_max"),
        (STEPWISE, "gaussian", "prior", "slope"),
    ],
)
def test_schedule_gradient_equals_that_of_the_whole_bound(config, process_name, start, name):
    objective = objective_of(config, process=process_name, start=start)
    x = data(2)
    noise = drawn(objective, x)
    loss, _ = objective(x, noise, None)
    loss.backward()
    parameter = getattr(objective.schedule, name)
    values = []
    # The published network takes gamma in float32: smaller steps would see its rounding.
    h = 1e-3 if config is SMOOTH else 1e-5
    for sign in (1, -1):
        with torch.no_grad():
            parameter.add_(sign * h)
            values.append(float(objective(x, noise, None)[0]))
            parameter.sub_(sign * h)
    numeric = (values[0] - values[1]) / (2 * h)
    assert float(parameter.grad) == pytest.approx(numeric, rel=1e-2 if config is SMOOTH else 1e-5)


def test_learned_schedule_has_the_constants_of_the_coder():
    fixed = Schedule(17.9658203125, 6.0, 4)
    learned = LearnedSchedule(fixed, ["slope"]).requires_grad_(False)
    mixed = learned.steps_of(torch.arange(4))
    for exact, tensors in zip(fixed.steps(), learned.steps(), strict=True):
        for key, value in vars(exact).items():
            assert float(getattr(tensors, key)) == pytest.approx(value, rel=1e-13)  # float64
            assert float(getattr(mixed, key).flatten()[exact.index]) == pytest.approx(value, rel=1e-6)  # float32
    assert LearnedSchedule(fixed).step(2) is fixed.step(2)


def test_unknown_learned_parameter_is_refused():
    with pytest.raises(ValueError, match="cannot learn gamma_min"):
        LearnedSchedule(Schedule(18.3, 6.0, 4), ["gamma_min"])


def test_bound_equals_coding_cost():
    objective = objective_of(STEPWISE, learned=(), start="prior")
    x = data(64)
    noise = drawn(objective, x)
    with torch.no_grad():
        _, rates = objective(x, noise, None)
    shared = [noise.start, *noise.steps]
    n_pixels = x.numel() / 3
    # Coding sends other samples of the same distribution: the dither is shared, not the noise.
    for sent in process.transmit(objective.denoiser, objective.schedule.fixed(), x, lambda i, shape: shared[i]):
        assert float(sent.bits.sum()) / n_pixels == pytest.approx(float(rates[f"step_{sent.step.index + 1}"]), rel=0.03)
    last = float(last_stage_bits(x, sent.z_s, sent.step).sum()) / n_pixels
    assert last == pytest.approx(float(rates["last_stage"]), rel=0.05)


@pytest.mark.parametrize("config", [UNET, STEPWISE], ids=["mixed", "grouped"])
@pytest.mark.parametrize("process_name", ["uniform", "gaussian"])
def test_random_steps_estimate_the_same_bound(config, process_name):
    objective = objective_of(config, process=process_name)
    x = data(5)
    noise = drawn(objective, x)
    with torch.no_grad():
        whole, rates = objective(x, noise, None)
        # One and the same noise: a batch with all samples at one step has that step's rate.
        for index in range(4):
            loss, random = objective(x, noise, torch.full((5,), index))
            # Step constants of mixed batches are float32.
            assert float(random["steps"]) == pytest.approx(4 * float(rates[f"step_{index + 1}"]), rel=1e-4)
            assert float(loss) == pytest.approx(sum(float(random[k]) for k in ("prior", "steps", "last_stage")))
        mixed, random = objective(x, noise, torch.tensor([0, 1, 2, 3, 3]))
    assert {"step_1", "step_2", "step_3", "step_4"} < random.keys()
    assert float(whole) == pytest.approx(sum(float(rate) for name, rate in rates.items() if name != "x_hat_error"))
    assert float(random["last_stage"]) == pytest.approx(float(rates["last_stage"]), rel=1e-4)
    assert math.isfinite(float(mixed))


class Ideal(Denoiser):
    """Knows x; its deviation is the posterior's."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def forward(self, z_t, step):
        return Prediction(self.x, torch.full_like(self.x, step.posterior_sd))


def test_gaussian_steps_cost_nothing_for_an_ideal_denoiser():
    x = data(64)
    objective = DiffusionObjective(Ideal(x), LearnedSchedule(Schedule(18.3, 6.0, 4)), process="gaussian")
    _, rates = objective(x, drawn(objective, x), None)
    assert all(abs(float(rates[f"step_{i}"])) < 1e-12 for i in range(1, 5))
    # KL(N(alpha x, sigma^2) || N(0, 1)) of three channels, by torch's own formula.
    alpha2 = 1 / (1 + math.exp(6.0))
    q = torch.distributions.Normal(math.sqrt(alpha2) * x, math.sqrt(1 - alpha2))
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean() * 3 / math.log(2)
    assert float(rates["prior"]) == pytest.approx(float(expected), rel=1e-9)


def test_uniform_steps_cost_0_38_bits_for_an_ideal_denoiser():
    x = data(64)
    objective = DiffusionObjective(Ideal(x), LearnedSchedule(Schedule(18.3, 6.0, 4)))
    _, rates = objective(x, drawn(objective, x), None)
    # A logistic of the noise's own deviation costs .38 bits a coordinate even with a perfect estimate.
    assert float(rates["step_2"]) / 3 == pytest.approx(0.38, abs=0.01)


def test_points_have_standardized_levels_without_clipping():
    levels = Levels.standardized([115.6, 135.3], [47.2, 41.6])
    torch.manual_seed(0)
    denoiser = PointsDenoiser(width=16)
    objective = DiffusionObjective(denoiser, LearnedSchedule(Schedule(14.0, 5.0, 5)), levels=levels)
    x = levels.to_data(torch.tensor([[200, 20], [13, 250]], dtype=torch.uint8)[:, None, None].numpy())
    assert x.abs().max() > 2
    assert (levels.nearest(x).flatten(1) == torch.tensor([[200.0, 20.0], [13.0, 250.0]])).all()
    loss, rates = objective(x, drawn(objective, x, 5), None)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in denoiser.parameters())
    # At gamma_0 = -9 the noise's deviation is .011, half a level: a bit or so a coordinate.
    assert 0.5 < float(rates["last_stage"]) < 3


def test_loss_uses_the_density_of_the_model():
    x = data(4)
    config = {**STEPWISE, "density": "gaussian"}
    losses = [float(objective_of(c)(x, drawn(objective_of(c), x), None)[0]) for c in (STEPWISE, config)]
    assert losses[0] != losses[1]
