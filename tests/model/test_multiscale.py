"""The network at several resolutions: any schedule, mixed steps, and the deviation of p."""

import pytest
import torch

from uqdm.model import checkpoint
from uqdm.model.files import CheckpointError
from uqdm.model.learned_schedule import LearnedSchedule
from uqdm.model.schedule import Schedule

SCHEDULE = {"slope": 18.3, "gamma_max": 6.0, "n_steps": 4}
DENOISER = {"kind": "multiscale", "widths": [4, 6, 8], "blocks": [1, 2, 1], "embedding": 8}
MODEL = {"process": "gaussian", "schedule": SCHEDULE, "denoiser": DENOISER}


@pytest.fixture(scope="module")
def denoiser():
    torch.manual_seed(0)
    made = checkpoint.build(MODEL)[0]
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.double().requires_grad_(False)


@pytest.fixture(scope="module")
def z_t():
    return torch.randn(3, 3, 16, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_x_hat_depends_on_the_noise_level_and_not_on_the_number_of_steps(denoiser, z_t):
    few, many = Schedule(**SCHEDULE).step(2), Schedule(**{**SCHEDULE, "n_steps": 1000}).step(500)
    assert few.gamma_t == many.gamma_t
    assert torch.equal(denoiser(z_t, few).x_hat, denoiser(z_t, many).x_hat)


def test_scale_matches_the_variance_of_x_at_any_number_of_steps(denoiser, z_t):
    errors = []
    for n_steps, index in ((4, 2), (20, 10), (1000, 500)):
        step = Schedule(**{**SCHEDULE, "n_steps": n_steps}).step(index)
        scale = denoiser(z_t, step).scale
        errors.append((scale.square() - step.posterior_sd**2).sqrt() / step.x_weight)
    # The difference of the squares loses digits: the smallest are 1e-9 of the squares at T = 1000.
    torch.testing.assert_close(errors[1], errors[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(errors[2], errors[0], rtol=1e-6, atol=0)


def test_without_learned_scale_the_deviation_is_the_posterior_s(z_t):
    fixed = checkpoint.build({**MODEL, "denoiser": {**DENOISER, "learned_scale": False}})[0]
    step = Schedule(**SCHEDULE).step(1)
    assert (fixed(z_t, step).scale == step.posterior_sd).all()


def test_a_call_of_mixed_steps_equals_calls_of_single_steps(denoiser, z_t):
    steps = torch.tensor([0, 3, 1])
    mixed = denoiser(z_t, LearnedSchedule(Schedule(**SCHEDULE)).steps_of(steps))
    for row, index in enumerate(steps.tolist()):
        alone = denoiser(z_t[row : row + 1], Schedule(**SCHEDULE).step(index))
        # Constants of mixed steps are float32.
        torch.testing.assert_close(mixed.x_hat[row], alone.x_hat[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(mixed.scale[row], alone.scale[0], rtol=1e-5, atol=0)


def test_a_new_network_is_the_best_linear_estimate_of_white_data(z_t):
    new, step = checkpoint.build(MODEL)[0], Schedule(**SCHEDULE).step(2)
    weight = step.alpha_t * 0.25 / (step.alpha_t**2 * 0.25 + step.sigma_t**2)
    torch.testing.assert_close(new(z_t, step).x_hat, weight * z_t, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": [4, 6]}, "widths has 2 entries, blocks 3"),
        ({"blocks": [1, 300, 1]}, "blocks"),
        ({"widths": [4096] * 3, "blocks": [256] * 3}, "weights, more than"),
    ],
)
def test_faults_are_named(change, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoint.build({**MODEL, "denoiser": {**DENOISER, **change}})


def test_image_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(CheckpointError, match="10 pixels cannot be halved 2 times"):
        checkpoint.build({**MODEL, "image_size": 10})


def test_weights_are_at_least_what_the_check_of_files_assumes(denoiser):
    from uqdm.model.config import least_weights

    count = sum(value.numel() for value in denoiser.parameters())
    assert least_weights(MODEL) <= count <= 3 * least_weights(MODEL)
