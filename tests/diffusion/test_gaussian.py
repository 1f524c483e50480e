"""The Gaussian process as a twin of the uniform one: any T, any denoiser, three deviations."""

import math

import pytest
import torch
from small_models import SmallSections
from torch.distributions import Normal, kl_divergence

from uqdm.diffusion import gaussian
from uqdm.diffusion.process import posterior_mean, reverse_mean
from uqdm.model.checkpoint import as_model, build
from uqdm.model.denoiser import Prediction
from uqdm.model.schedule import Schedule

POINTS = {
    "image_size": 1,
    "process": "gaussian",
    "schedule": {"slope": 14.0, "gamma_max": 5.0, "n_steps": 5},
    "denoiser": {"kind": "points", "width": 16, "gamma_min": -9.0},
    "levels": {"mean": [115.6, 135.3], "deviation": [47.2, 41.6]},
}
UNET = {
    "image_size": 8,
    "schedule": {"slope": 18.0, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {
        "kind": "unet",
        "embedding_dim": 8,
        "n_blocks": 1,
        "norm_groups": 2,
        "gamma_min": -12.3,
        "gamma_max": 6.0,
    },
}
STEPWISE = {
    "image_size": 8,
    "schedule": {"slope": 18.0, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]},
}


def made(config):
    torch.manual_seed(0)
    return as_model("small", build(config)[0], config)


def noise_of(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda index, shape: torch.empty(shape).normal_(generator=generator)


def test_step_cost_equals_the_kl_of_two_gaussians():
    step = Schedule(18.0, 6.0, 4).step(1)
    torch.manual_seed(0)
    z_t, x, x_hat = torch.randn(3, 1, 3, 4, 4, dtype=torch.float64).clamp(-1, 1)
    predicted = Prediction(x_hat, torch.rand_like(x) + 0.05)
    for deviation in gaussian.DEVIATIONS:
        p = gaussian.reverse(predicted, step, deviation)
        q = Normal(posterior_mean(z_t, x, step), step.posterior_sd)
        expected = kl_divergence(q, Normal(reverse_mean(z_t, p, step), p.scale)) / math.log(2)
        torch.testing.assert_close(gaussian.step_kl_bits(x, p, step), expected)


def test_matched_deviation_equals_that_of_the_uniform_process():
    """p(z_s | z_t) of the uniform process is the base density and the step's uniform noise, added (eq. 5)."""
    step, generator = Schedule(18.0, 6.0, 4).step(2), torch.Generator().manual_seed(0)
    n, scale = 400_000, 0.7 * Schedule(18.0, 6.0, 4).step(2).posterior_sd
    base = scale * torch.randn(n, generator=generator, dtype=torch.float64)
    total = base + step.width * (torch.rand(n, generator=generator, dtype=torch.float64) - 0.5)
    matched = gaussian.reverse(Prediction(torch.zeros(1), torch.full((1,), scale)), step, "matched")
    # The standard error of a variance of n samples is at most sqrt(2 / n) of it.
    assert float(total.var()) == pytest.approx(float(matched.scale) ** 2, rel=5 * math.sqrt(2 / n))


def test_prior_cost_equals_the_kl_of_two_gaussians():
    step = Schedule(14.0, 1.0, 4).step(0)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    expected = kl_divergence(Normal(step.alpha_t * x, step.sigma_t), Normal(0.0, 1.0)) / math.log(2)
    torch.testing.assert_close(gaussian.prior_kl_bits(x, step), expected)


@pytest.mark.parametrize("config", [POINTS, UNET])
def test_one_set_of_weights_serves_any_number_of_steps(config):
    model = made(config)
    assert model.schedule_at(model.schedule.n_steps) == model.schedule
    channels, size = (2, 1) if config is POINTS else (3, 8)
    x = 0.5 * torch.ones(3, channels, size, size)
    for n_steps in (1, 7):
        schedule = model.schedule_at(n_steps)
        assert (schedule.gamma(0.0), schedule.gamma(1.0)) == (model.schedule.gamma(0.0), model.schedule.gamma(1.0))
        found = gaussian.nelbo(model.denoiser, schedule, x, noise_of(1))
        assert found.steps.shape == (3, n_steps)
        assert (found.steps >= 0).all()
        assert torch.isfinite(found.total).all()


def test_stepwise_networks_refuse_another_number_of_steps():
    model = made(STEPWISE)
    assert model.schedule_at(4) == model.schedule
    with pytest.raises(
        ValueError, match=r"small has a network for each of its T = 4 steps.*T = 20.*kind unet or points"
    ):
        model.schedule_at(20)


def test_z_t_comes_from_the_data_or_from_the_prior():
    schedule, x = Schedule(14.0, 1.0, 3), torch.full((1, 3, 4, 4), 0.5)
    step, noise = schedule.step(0), torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(
        gaussian.first_latent(x, step, noise, "posterior"), step.alpha_t * x + step.sigma_t * noise
    )
    assert gaussian.first_latent(x, step, noise, "prior") is noise
    with pytest.raises(ValueError, match="start='now': choose one of posterior, prior"):
        gaussian.first_latent(x, step, noise, "now")
    with pytest.raises(ValueError, match="deviation='mine': choose one of posterior, matched, predicted"):
        gaussian.reverse(Prediction(x, x), step, "mine")


def test_sections_are_sent_and_sampled_one_after_the_other():
    """A section's prediction depends on the coordinates before it: transmission and samples must hand them on."""
    denoiser = SmallSections((1, 3, 4, 2)).eval().requires_grad_(False)
    schedule, x = Schedule(16.0, 6.0, 4), torch.rand(2, 3, 8, 8) - 0.5
    for sent in gaussian.transmit(denoiser, schedule, x, noise_of(2)):
        whole = denoiser.predict_all(sent.z_t, sent.z_s, sent.step)
        torch.testing.assert_close(sent.prediction.x_hat, whole.x_hat)
        torch.testing.assert_close(sent.bits, gaussian.step_kl_bits(x, whole, sent.step))
    step = schedule.step(2)
    z_t = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    source = gaussian.normal_noise(torch.Generator().manual_seed(4))
    drawn = gaussian.ancestral(z_t, [step], denoiser, source) * step.alpha_s
    whole = denoiser.predict_all(z_t, drawn, step)
    noise = torch.empty_like(z_t).normal_(generator=torch.Generator().manual_seed(4))
    expected = reverse_mean(z_t, whole, step) + whole.scale * noise
    torch.testing.assert_close(drawn, expected.float(), rtol=1e-4, atol=1e-5)  # float32, by other ways
