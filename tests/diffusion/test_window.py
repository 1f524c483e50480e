"""Windows of possible x given the latents, and densities bounded by them."""

import numpy as np
import pytest
import torch
from scipy import stats

from uqdm.coding.lattice import START_UNIT, LatticeStep
from uqdm.diffusion.density import bounded_log_mass
from uqdm.diffusion.images import to_data
from uqdm.diffusion.process import transmit
from uqdm.diffusion.window import Window
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Schedule

SCHEDULE = Schedule(18.21, 6.0, 4)


class Bounded(Denoiser):
    """Predicts grey, with a wide density."""

    bounded = True

    def forward(self, z_t, step):
        return Prediction(torch.zeros_like(z_t), torch.full_like(z_t, 10 * step.width))


def noise_from(generator):
    def noise(index, shape):
        return torch.randn(shape, generator=generator) if index == 0 else torch.rand(shape, generator=generator) - 0.5

    return noise


def test_window_contains_the_level_and_shrinks_to_it(photographs_uint8):
    image = photographs_uint8[0]
    levels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    window, counts = Window.everything(levels), []
    for sent in transmit(Bounded(), SCHEDULE, to_data(image[None]), noise_from(torch.Generator().manual_seed(0))):
        window = window.after(sent.z_t, sent.z_s, sent.step)
        assert ((window.first <= levels) & (levels <= window.last)).all()
        counts.append(float((window.last - window.first + 1).mean()))
    # Widths of the noise in levels: 908, 94, 9.7 and 0.99; at this slope the last leaves one level.
    assert counts[0] <= 256
    assert 40 < counts[1] < 94.1
    assert 7 < counts[2] < 9.8
    assert counts[3] < 1.02  # float32 widens it by 2e-3 levels at either end


def test_window_equals_that_of_the_integer_lattice():
    rng = np.random.default_rng(0)
    step = SCHEDULE.step(2)
    lattice = LatticeStep.make(START_UNIT, step.z_weight, step.x_weight, step.width)
    n_t, levels, j = rng.integers(-3000, 3000, 5000), rng.integers(0, 256, 5000), rng.integers(0, 256, 5000)
    k = lattice.quantize(n_t, levels, j)
    first, count = lattice.window(n_t, k, j)
    z_t, z_s = (torch.from_numpy(n * unit) for n, unit in ((n_t, START_UNIT), (lattice.latent(k, j), lattice.unit)))
    found = Window.everything(z_t).after(z_t, z_s, step)
    assert (np.abs(found.first.numpy() - first) + np.abs(found.last.numpy() - (first + count - 1))).mean() < 0.01
    assert (found.first.numpy() <= first).all()  # wider by its allowance for rounding, never narrower
    assert (found.last.numpy() >= first + count - 1).all()


def test_a_flat_density_costs_the_logarithm_of_the_window(photographs_uint8):
    x = to_data(photographs_uint8[0][None])
    sent = list(transmit(Bounded(), SCHEDULE, x, noise_from(torch.Generator().manual_seed(0))))[3]
    window = Window.everything(x)
    for earlier in transmit(Bounded(), SCHEDULE, x, noise_from(torch.Generator().manual_seed(0))):
        window = window if earlier.step.index == 3 else window.after(earlier.z_t, earlier.z_s, earlier.step)
    bits = torch.log2(window.last - window.first + 1)
    # A bin is 0.99 levels wide; one that straddles the window's end holds less than a level, 0.3 bits on the mean.
    assert float((sent.bits - bits).mean()) == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("deviation", [0.05, 1.0, 30.0])
def test_bounded_mass_equals_scipy_logistic_between_bounds(deviation):
    mean, width = 0.3, 0.5
    low, high = -1.0, 2.25
    scale = deviation * np.sqrt(3) / np.pi
    z = torch.linspace(low - width / 2, high + width / 2, 101, dtype=torch.float64)[1:-1]
    bounds = (torch.full_like(z, low), torch.full_like(z, high))
    found = bounded_log_mass(z, torch.full_like(z, mean), torch.full_like(z, deviation), width, bounds, least=1e-9)
    law = stats.logistic(mean, scale)
    cut = lambda value: law.cdf(np.clip(value, low, high))  # noqa: E731
    expected = (cut(z.numpy() + width / 2) - cut(z.numpy() - width / 2)) / (law.cdf(high) - law.cdf(low))
    assert np.abs(found.exp().numpy() - expected).max() < 1e-9


def test_bins_of_a_lattice_have_total_mass_1():
    z = torch.arange(-3, 4, dtype=torch.float64) + 0.2
    bounds = (torch.full_like(z, -2.5), torch.full_like(z, 3.0))
    mass = bounded_log_mass(z, torch.full_like(z, 8.0), torch.full_like(z, 0.7), 1.0, bounds, least=1e-12).exp()
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-9)  # the mean is far outside
