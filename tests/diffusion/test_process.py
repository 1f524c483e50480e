"""The process against independent computations of its densities and rates."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from uqdm.diffusion.density import bin_log_mass
from uqdm.diffusion.images import to_data, to_uint8
from uqdm.diffusion.process import last_stage_bits, transmit
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Schedule

SCHEDULE = Schedule(17.9658203125, 6.0, 4)


def test_levels_and_data_round_trip():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert (to_uint8(to_data(levels)) == levels).all()
    assert to_data(levels).max() == 1 - 1 / 256


@pytest.mark.parametrize("width", [0.01, 1.0, 30.0])
def test_bin_mass_equals_scipy_logistic(width):
    z = torch.linspace(-40, 40, 801, dtype=torch.float64)
    mean, deviation = torch.full_like(z, 0.3), torch.full_like(z, 1.7)
    scale = 1.7 * math.sqrt(3) / math.pi
    log_mass = bin_log_mass(z, mean, deviation, width).numpy()
    low, high = (z.numpy() - 0.3 - width / 2) / scale, (z.numpy() - 0.3 + width / 2) / scale
    # From the nearer tail, where a difference of distribution functions keeps its digits.
    mirrored = np.where(low > 0, stats.logistic.cdf(-low) - stats.logistic.cdf(-high), 0)
    plain = stats.logistic.cdf(high) - stats.logistic.cdf(low)
    expected = np.log(np.where(low > 0, mirrored, plain))
    assert np.abs(log_mass - expected).max() < 1e-9


def test_bin_mass_is_accurate_in_the_tails():
    far = bin_log_mass(torch.tensor([500.0]), torch.zeros(1), torch.full((1,), math.pi / math.sqrt(3)), 1.0)
    # S(-499.5) - S(-500.5) = exp(-499.5) - exp(-500.5) to within a relative 1e-200
    assert float(far) == pytest.approx(-499.5 + math.log(1 - math.exp(-1)), abs=1e-4)  # float32


def test_the_last_stage_is_a_softmax_over_all_levels():
    step = SCHEDULE.step(3)
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, 2000)
    x = (2 * levels + 1) / 256 - 1
    z_0 = step.alpha_s * x + step.sigma_s * rng.normal(size=2000)
    every = (2 * np.arange(256) + 1) / 256 - 1
    logits = -0.5 * math.exp(-step.gamma_s) * (z_0[:, None] / step.alpha_s - every) ** 2
    expected = (np.logaddexp.reduce(logits, axis=1) - logits[np.arange(2000), levels]) / math.log(2)
    bits = last_stage_bits(torch.from_numpy(x), torch.from_numpy(z_0), step).numpy()
    assert np.abs(bits - expected).max() < 1e-9


class Ignorant(Denoiser):
    """Predicts grey, with some deviation."""

    def forward(self, z_t, step):
        return Prediction(torch.zeros_like(z_t), torch.full_like(z_t, 0.1 + step.forward_sd))


@pytest.mark.parametrize("around_mean", [False, True])
def test_universal_quantization_gives_the_forward_kernels_uniform_noise(around_mean):
    generator = torch.Generator().manual_seed(0)

    def noise(index, shape):
        return torch.randn(shape, generator=generator) if index == 0 else torch.rand(shape, generator=generator) - 0.5

    x = (2 * torch.randint(0, 256, (1, 3, 100, 100), generator=generator) + 1) / 256 - 1
    for sent in transmit(Ignorant(), SCHEDULE, x, noise, around_mean=around_mean):
        noise_in_bins = (sent.z_s - sent.step.z_weight * sent.z_t - sent.step.x_weight * x) / sent.step.width
        assert noise_in_bins.abs().max() <= 0.5 + 1e-3  # float32, at latents of some 100 bins
        assert stats.kstest(noise_in_bins.flatten().numpy() + 0.5, "uniform").pvalue > 1e-3
        assert (sent.bits > 0).all()
