"""Rate, distortion and perception of Gaussian diffusion on Gaussian sources, whose bounds are known in closed form.

docs/theory.md derives them. What is compared with a Monte Carlo mean must lie within five of its standard errors; seeds
are fixed. Limits of many steps are compared without noise, by exact moments.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gaussian_source import UNCLIPPED, GaussianSource, assert_mean, squared_errors
from scipy import stats

from uqdm.diffusion import gaussian
from uqdm.model.schedule import Schedule, Step

WHITE = GaussianSource([0.8] * 4)
COLOURED = GaussianSource([2.0, 0.5, 0.1, 0.02], coloured=True)
N = 20_000
SOURCES = pytest.mark.parametrize("source", [WHITE, COLOURED], ids=["white", "coloured"])


def schedule_of(n_steps: int) -> Schedule:
    return Schedule(slope=18.3, gamma_max=6.0, n_steps=n_steps)


def snr(step: Step) -> float:
    return math.exp(-step.gamma_t)


def normal_noise(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda index, shape: torch.empty(shape, dtype=torch.float64).normal_(generator=generator)


def samples(source: GaussianSource, steps: list[Step], seed: int = 5):
    """x, its estimate from z_t, an ancestral sample and the flow's point, through these steps."""
    x = source.draw(N, seed)
    z_t = source.latent(x, steps[0], seed + 1)
    opened = source.begin(z_t, steps[0])
    noise = normal_noise(seed + 2)
    drawn = gaussian.ancestral(z_t, steps, source, noise, first=opened, deviation="posterior", levels=UNCLIPPED)
    return x, opened.x_hat, drawn, gaussian.flow(source, z_t, opened, steps)


# ---- rates -------------------------------------------------------------------------------------------------------


@SOURCES
@pytest.mark.parametrize("n_steps", [5, 20, 80])
def test_transmission_costs_the_sum_of_mmse_times_the_gain_in_snr(source: GaussianSource, n_steps: int) -> None:
    schedule, x = schedule_of(n_steps), source.draw(N, 3)
    sent = gaussian.transmit(
        source, schedule, x, normal_noise(4), start="posterior", deviation="posterior", levels=UNCLIPPED
    )
    bits = sum(one.bits.flatten(1).sum(1) for one in sent)
    assert_mean(bits, source.left_sum_bits(schedule))


@SOURCES
def test_rates_fall_to_the_information_as_steps_grow(source: GaussianSource) -> None:
    ends = [source.bits(math.exp(-schedule_of(1).gamma(t))) for t in (0, 1)]
    excess = [source.left_sum_bits(schedule_of(n_steps)) - (ends[0] - ends[1]) for n_steps in (500, 1000, 2000)]
    assert min(excess) > 0
    # Half at twice the steps: the excess is of order 1 / T. Its next term is 18.3 / T of it.
    assert np.array(excess[1:]) / excess[:-1] == pytest.approx([0.5, 0.5], abs=0.5 * 18.3 / 500)
    assert excess[-1] < 0.02 * ends[0]


# ---- distortions -------------------------------------------------------------------------------------------------


@SOURCES
@pytest.mark.parametrize(("n_steps", "n_done"), [(6, 2), (30, 12), (100, 55)])
def test_pictures_have_the_errors_of_their_closed_forms(source: GaussianSource, n_steps: int, n_done: int) -> None:
    steps = schedule_of(n_steps).steps()[n_done:]
    x, estimate, drawn, flown = samples(source, steps)
    assert_mean(squared_errors(x, estimate), source.mmse(snr(steps[0])))
    assert_mean(squared_errors(x, drawn), source.error_of_ancestral(steps))
    assert_mean(squared_errors(x, flown), source.linear_error(steps[0], source.flow_weights(steps)))
    # The sample is independent of x given z_t, and so is its distance from the estimate.
    assert_mean(((x - estimate) * (estimate - drawn)).flatten(1).sum(1), 0.0)


@SOURCES
@pytest.mark.parametrize("share_done", [0.3, 0.5, 0.7])
def test_with_many_steps_ancestral_has_twice_the_mmse_and_flow_is_the_optimal_transport(
    source: GaussianSource, share_done: float
) -> None:
    gaps = []
    for n_steps in (500, 1000, 2000):
        steps = schedule_of(n_steps).steps()[round(share_done * n_steps) :]
        exact, ratio, last = source.error_of_ancestral(steps, exact=True), snr(steps[0]), math.exp(steps[-1].gamma_s)
        transported = source.transport_weights(steps[0], last)
        gaps.append(
            [
                source.error_of_ancestral(steps) / exact - 1,
                np.abs(source.flow_weights(steps) / transported - 1).max(),
            ]
        )
        # z_0 / alpha_0 is not x: it holds noise of variance 1 / SNR(0) in each of four coordinates.
        assert exact == pytest.approx(2 * source.mmse(ratio), abs=4 * last)
        assert source.linear_error(steps[0], transported) == pytest.approx(source.flow_error(ratio), abs=4 * last)
    assert np.abs(gaps[-1]).max() < 0.01
    assert np.array(gaps[1:]) / gaps[:-1] == pytest.approx(np.full((2, 2), 0.5), abs=0.02)  # of order 1 / T


@pytest.mark.parametrize("bits", [0.25, 1.0, 3.0, 6.0])
def test_flow_gains_up_to_3_db_over_ancestral_as_the_rate_grows(bits: float) -> None:
    """White source: 10 log10(1 + rho) dB with rho = sqrt(1 - 2^(-2 R)), which tends to 3.01 dB."""
    source, ratio = GaussianSource([0.8]), (2 ** (2 * bits) - 1) / 0.8
    few, many = (
        Schedule(slope=math.log(ratio) + 18.0, gamma_max=-math.log(ratio), n_steps=n_steps).steps()  # from z_t on
        for n_steps in (50, 1000)
    )
    assert source.bits(snr(few[0])) == pytest.approx(bits, rel=1e-9)
    gain = 1 + math.sqrt(1 - 2 ** (-2 * bits))
    assert 2 * source.mmse(ratio) / source.flow_error(ratio) == pytest.approx(gain, rel=1e-9)
    in_steps, in_many = (
        2 * source.mmse(ratio) / source.linear_error(few[0], source.flow_weights(steps)) for steps in (few, many)
    )
    assert in_many == pytest.approx(gain, rel=0.002)
    assert abs(in_many / gain - 1) == pytest.approx(abs(in_steps / gain - 1) * 50 / 1000, rel=0.1)  # of order 1 / T
    x, estimate, _, flown = samples(source, few)
    assert_mean(2 * squared_errors(x, estimate) - in_steps * squared_errors(x, flown), 0.0)
    assert (10 * math.log10(gain) > 3.0) == (bits == 6)


def test_with_shared_noise_the_flow_reaches_the_bound_of_perfect_realism() -> None:
    """R(D) at perfect realism and unlimited common randomness: 1/2 log2 1 / (1 - (1 - D / 2v)^2), below 2 MMSE."""
    for ratio in (0.1, 1.0, 30.0):
        source = GaussianSource([0.8])
        distortion = source.flow_error(ratio)
        rate = -0.5 * math.log2(1 - (1 - distortion / 1.6) ** 2)
        assert rate == pytest.approx(source.bits(ratio), rel=1e-9)
        assert distortion < 2 * source.mmse(ratio) == pytest.approx(1.6 * 2 ** (-2 * rate), rel=1e-9)


# ---- the line between the faithful and the realistic picture -----------------------------------------------------


def distance_to_normal(values: np.ndarray, deviation: float) -> float:
    """W2 of a sample and N(0, deviation^2): the sorted sample against the means of equal slices of the normal."""
    edges = stats.norm.ppf(np.linspace(0, 1, len(values) + 1))
    slices = -np.diff(stats.norm.pdf(edges)) * len(values) * deviation
    return math.sqrt(((np.sort(values) - slices) ** 2).mean())


@SOURCES
@pytest.mark.parametrize("n_done", [25, 45])
def test_pictures_on_the_line_have_the_error_and_distance_of_their_closed_forms(
    source: GaussianSource, n_done: int
) -> None:
    steps = schedule_of(100).steps()[n_done:]
    x, estimate, drawn, flown = samples(source, steps)
    ends = source.mean_weights(steps[0]), source.flow_weights(steps)
    # Standard errors of the deviations, and the least distance of a sample of this size from its own distribution.
    noise = 5 * math.sqrt(source.variances.sum() / (2 * N))
    for lam in (0.0, 0.25, 0.5, 0.75, 1.0):
        mixed, weights = torch.lerp(estimate, flown, lam), (1 - lam) * ends[0] + lam * ends[1]
        assert_mean(squared_errors(x, mixed), source.linear_error(steps[0], weights))
        assert distance_of(source, mixed) == pytest.approx(source.linear_distance(steps[0], weights), abs=noise)
    least, furthest = source.mmse(snr(steps[0])), source.distance(snr(steps[0]))
    middle = torch.lerp(estimate, drawn, 0.5)
    assert_mean(squared_errors(x, middle), least + 0.25 * (source.error_of_ancestral(steps) - least))
    optimum = least + (furthest - distance_of(source, middle)) ** 2
    assert float(squared_errors(x, middle).mean()) > 1.03 * optimum  # the line to samples is not the optimal one


@SOURCES
@pytest.mark.parametrize("share_done", [0.3, 0.5])
def test_the_line_to_the_flow_is_the_optimal_curve_of_distortion_and_perception(
    source: GaussianSource, share_done: float
) -> None:
    """D(P) = D* + max(P* - P, 0)^2 with P = (1 - lambda) P* (Freirich et al. 2021), as steps grow."""
    for n_steps, tolerance in ((500, 0.02), (2000, 0.005)):  # of order 1 / T
        steps = schedule_of(n_steps).steps()[round(share_done * n_steps) :]
        least, furthest = source.mmse(snr(steps[0])), source.distance(snr(steps[0]))
        for lam in (0.0, 0.25, 0.5, 0.75, 1.0):
            weights = (1 - lam) * source.mean_weights(steps[0]) + lam * source.flow_weights(steps)
            perception = source.linear_distance(steps[0], weights)
            assert perception == pytest.approx((1 - lam) * furthest, abs=tolerance * furthest)
            optimum = least + max(furthest - perception, 0) ** 2
            assert source.linear_error(steps[0], weights) == pytest.approx(optimum, rel=tolerance)


def distance_of(source: GaussianSource, pictures: torch.Tensor) -> float:
    """W2 to the source, as for independent components in its basis."""
    parts = (pictures @ source.basis).flatten(1).numpy()
    return math.hypot(
        *(distance_to_normal(part, math.sqrt(v)) for part, v in zip(parts.T, source.variances, strict=True))
    )


def test_at_most_twice_the_mmse_is_needed_whatever_the_rate() -> None:
    for ratio in np.geomspace(1e-3, 1e4, 15):
        for source in (WHITE, COLOURED):
            least, transported = source.mmse(ratio), source.flow_error(ratio)
            assert least < transported < 2 * least
            assert transported == pytest.approx(least + source.distance(ratio) ** 2, rel=1e-9)
