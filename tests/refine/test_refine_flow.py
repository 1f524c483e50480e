"""The flow of second stages: its mean, its samples on a Gaussian source, windows, and the residual's scale."""

from __future__ import annotations

import math

import pytest
import torch
from small_refine import NETWORK

from uqdm.refine import flow
from uqdm.refine.network import RefineNetwork


@pytest.fixture
def network() -> RefineNetwork:
    torch.manual_seed(0)
    made = RefineNetwork([(0, 0.2), (2, 0.1)], **NETWORK)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.double().requires_grad_(False)


class ExactNetwork(RefineNetwork):
    """The exact velocity for a residual r ~ N(mean, deviation^2), independent of the condition."""

    def __init__(self, mean: float, deviation: float):
        super().__init__([(0, 0.5)], **NETWORK)
        self.mean, self.deviation = mean, deviation

    def forward(self, r_t: torch.Tensor, t: torch.Tensor, given: torch.Tensor, log2_bpp: torch.Tensor) -> torch.Tensor:
        time = t[:, None, None, None]
        variance = (time * self.deviation) ** 2 + (1 - time) ** 2
        covariance = time * self.deviation**2 - (1 - time)
        seen = torch.where(time == 0, 0.0, 1.0) * (r_t - time * self.mean)
        return self.mean + covariance / variance * seen + torch.where(time == 0, -r_t, 0.0)


def test_the_scale_is_linear_between_its_knots_and_constant_outside(network: RefineNetwork) -> None:
    rates = torch.tensor([-5.0, 0.0, 0.5, 2.0, 9.0], dtype=torch.float64)
    expected = torch.tensor([0.2, 0.2, 0.175, 0.1, 0.1], dtype=torch.float64)
    torch.testing.assert_close(network.scale(rates)[:, 0, 0, 0], expected, rtol=1e-7, atol=0)
    one = RefineNetwork([(0, 0.5)], **NETWORK)
    assert one.scale(torch.tensor([-1.0, 3.0])).flatten().tolist() == [0.5, 0.5]


def test_the_mean_does_not_depend_on_noise(network: RefineNetwork) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 8, 8, generator=generator, dtype=torch.float64)
    picture, rate = torch.zeros_like(noise), torch.zeros(1, dtype=torch.float64)
    time = torch.zeros(1, dtype=torch.float64)
    # The estimate of r at t = 0 is the velocity plus the noise, whatever the noise.
    estimate = network(noise, time, picture, rate) + noise
    found = flow.mean(network, picture, rate, noise)
    torch.testing.assert_close(found, 0.2 * estimate, rtol=0, atol=1e-14)


def test_samples_of_an_exact_velocity_have_the_source_s_distribution() -> None:
    network, n = ExactNetwork(0.3, 0.6), 10_000
    noise = torch.randn(1, 3, 100, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    picture, rate = torch.full_like(noise, 0.1), torch.zeros(1, dtype=torch.float64)
    found = flow.sample(network, picture, rate, noise, 400)
    values = ((found - 0.1) / 0.5).flatten()
    # Four standard errors of 30,000 values, and Euler's error of the deviation at 400 steps, about 1 in 400.
    assert abs(float(values.mean()) - 0.3) < 4 * 0.6 / math.sqrt(3 * n)
    assert float(values.std()) == pytest.approx(0.6, rel=4 / math.sqrt(6 * n) + 1 / 400)
    assert torch.equal(flow.mean(network, picture, rate, noise), torch.full_like(noise, 0.1 + 0.5 * 0.3))


def test_windows_of_a_large_picture_change_nothing(network: RefineNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    noise, picture = (torch.randn(1, 3, 152, 72, generator=generator, dtype=torch.float64) for _ in range(2))
    rate = torch.ones(1, dtype=torch.float64)
    whole = flow.sample(network, picture, rate, noise, 2)
    monkeypatch.setattr(flow, "WINDOW", 32)
    parts = flow.sample(network, picture, rate, noise, 2)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)  # float64; sums in another order


def test_the_reach_is_not_smaller_than_it_says(network: RefineNetwork) -> None:
    reach = network.network.reach
    picture = torch.zeros(1, 3, 8 * reach, 8, dtype=torch.float64)
    changed = picture.clone()
    middle = 4 * reach
    changed[:, :, middle] = 5.0
    rate = torch.zeros(1, dtype=torch.float64)
    found = [flow.mean(network, one, rate, picture) for one in (picture, changed)]
    rows = (found[0] - found[1]).abs().amax(dim=(0, 1, 3)).nonzero().flatten()
    assert rows.min() >= middle - reach
    assert rows.max() <= middle + reach
    assert rows.max() > middle + 2  # so that the test sees a context at all
