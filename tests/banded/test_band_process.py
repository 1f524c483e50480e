"""The process in bands against the paper's equations, coordinate by coordinate, and against rate-distortion theory.

Equations and appendices are those of Yang et al. 2025 (ICLR) with alpha = 1, unless another source is named.
Expectations are exact: over all dithers, or by quadrature.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from small_bands import banded_model, banded_networks

from uqdm.banded.network import N_BAND_SECTIONS, N_BANDS, BandState, band_section
from uqdm.banded.schedule import SENT_FROM, BandSchedule
from uqdm.coding.randomness import DITHER_LEVELS
from uqdm.diffusion.density import bin_log_mass
from uqdm.progressive.banded.rounding import Rounding
from uqdm.progressive.banded.steps import Draws, Known, Networks, advance, begin
from uqdm.progressive.banded.symbols import Symbols
from uqdm.training.banded_objective import BandedObjective, sends

SCHEDULE = BandSchedule((100.0, 62.0, 37.0, 22.5, 13.0, 7.0), 9)
DITHERING_LOSS = 0.5 * math.log2(2 * math.pi * math.e / 12)
"""Bits by which a uniform noise has less entropy than a Gaussian one of its variance: 0.2546."""
THRESHOLD = 2 ** (SENT_FROM / 8)
"""Least deviation that is sent, in units of the noise."""


def subsequences() -> Iterator[tuple[int, ...]]:
    """All ways in which a coordinate can be sent: the steps, counted from 0."""
    steps = range(SCHEDULE.n_band_steps)
    return itertools.chain.from_iterable(itertools.combinations(steps, n) for n in range(1, len(steps) + 1))


def weights_after(steps: tuple[int, ...]) -> tuple[float, np.ndarray]:
    """Of a latent after some steps, the weight of x, and the deviation of each step's noise in it."""
    x_weight, noise, last = 0.0, np.empty(0), 0
    for step in steps:
        constants = SCHEDULE.constants[step]
        e, width = constants.x_weight[last], constants.width[last]
        x_weight, noise = (1 - e) * x_weight + e, np.append((1 - e) * noise, width / math.sqrt(12))
        last = step + 1
    return x_weight, noise


# ---- App. A: the uniform forward process --------------------------------------------------------------------------


def test_after_any_steps_a_latent_has_the_moments_of_x_and_noise_app_a() -> None:
    """E[z_s | x] = x and Var[z_s | x] = sigma_s^2, whichever steps sent the coordinate (App. A.2)."""
    found = {steps: weights_after(steps) for steps in subsequences()}
    assert len(found) == 63
    for steps, (x_weight, noise) in found.items():
        assert x_weight == pytest.approx(1, rel=1e-14)
        assert (noise**2).sum() == pytest.approx(SCHEDULE.sigmas[steps[-1]] ** 2, rel=1e-13)


def test_noise_of_single_steps_is_that_of_the_sum_of_uniforms_eq_8() -> None:
    """delta_{s|t} = sigma_s^2 sqrt(SNR(s) - SNR(t)) with SNR = 1 / sigma^2, and 0 before the first step."""
    for steps in subsequences():
        snr = np.array([0, *(SCHEDULE.sigmas[step] ** -2 for step in steps)])
        expected = SCHEDULE.sigmas[steps[-1]] ** 2 * np.sqrt(np.diff(snr))
        assert weights_after(steps)[1] == pytest.approx(expected, rel=1e-13)


def test_a_step_is_the_gaussian_posterior_with_uniform_noise_eq_5() -> None:
    """q(z_s | z_t, x) of z_t = x + sigma_t N and z_s = x + sigma_s N: mean and variance by conditioning normals."""
    for index, before in itertools.combinations(range(SCHEDULE.n_band_steps), 2):
        sigma_t, sigma_s = SCHEDULE.sigmas[index], SCHEDULE.sigmas[before]
        constants = SCHEDULE.constants[before]
        e, width = constants.x_weight[index + 1], constants.width[index + 1]
        assert 1 - e == pytest.approx(sigma_s**2 / sigma_t**2, rel=1e-13)
        # Precisions add: that of z_s given z_t and x is 1 / sigma_s^2 + 1 / (sigma_t^2 - sigma_s^2).
        variance = 1 / (1 / sigma_s**2 + 1 / (sigma_t**2 - sigma_s**2))
        assert width**2 / 12 == pytest.approx(variance, rel=1e-12)
    first = [constants.width[0] for constants in SCHEDULE.constants]  # never sent: plain dithered quantization
    assert first == pytest.approx(math.sqrt(12) * np.array(SCHEDULE.sigmas), rel=1e-15)


N_DITHERS = 32


class EvenDithers(Draws):
    """Row r of a batch has the dither 8 r + 3 at all coordinates of the step ``varied``, and 77 in others."""

    def __init__(self, varied: int):
        super().__init__([0] * N_DITHERS, [varied] * N_DITHERS)

    def dither(self, step: int, size: int) -> np.ndarray:
        varied = step == self.positions[0]
        rows = np.arange(3, DITHER_LEVELS, DITHER_LEVELS // N_DITHERS) if varied else np.full(N_DITHERS, 77)
        return np.repeat(rows[:, None], size, axis=1)


class Given(Symbols):
    """The symbols of data, which are not coded; ``seen`` has what each section's densities were."""

    def __init__(self, data: np.ndarray):
        self.data: np.ndarray | None = data
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def free(self, row: int, locations: np.ndarray, scales: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        assert wanted is not None
        self.seen.append((locations, scales))
        return wanted

    bounded: Any = None


def stepped(networks: Networks, coefficients: np.ndarray, n_steps: int) -> tuple[Known, Known]:
    """What is known before and after the last of some steps, with dithers all over the bin in that one."""
    known = begin(networks, N_DITHERS)
    before = known
    for _ in range(n_steps):
        before = known
        rounding = Rounding([0] * N_DITHERS)
        known, _ = advance(networks, known, EvenDithers(n_steps), rounding, Given(coefficients))
    return before, known


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_steps_of_files_send_samples_of_q_eq_6(n_steps: int) -> None:
    """Where a coordinate is sent, z_s is uniform around (1 - e) z_t + e x over the dither; elsewhere z stays."""
    networks = Networks(banded_model(), torch.device("cpu"))
    with torch.no_grad():  # what is sent then depends on the frequency alone, so that it is the same for all dithers
        networks.networks.bands.log_deviation.copy_(6.5 - 0.03 * torch.arange(N_BANDS))
    x = np.random.default_rng(0).normal(0, 200, (1, N_BANDS, 2, 2)).repeat(N_DITHERS, 0)
    before, after = stepped(networks, x, n_steps)
    sent = after.state.done.numpy() == n_steps
    assert 0 < sent.sum() < sent.size
    assert (sent == sent[:1]).all()
    z_t, z_s = (known.state.z.numpy() for known in (before, after))
    assert np.array_equal(z_t[~sent], z_s[~sent])
    constants = networks.schedule.constants[n_steps - 1]
    last = before.state.done.numpy()
    assert {0, n_steps - 1} <= set(last[sent].tolist())  # for the first time, and again
    e, width = constants.x_weight[last], constants.width[last]
    u = ((z_s - (1 - e) * z_t - e * x) / width)[:, sent[0]]
    # N even dithers make a lattice in the bin: equidistant places, whose mean and variance are those of the uniform
    # distribution but for half a place and for 1 / N^2 of the variance.
    assert np.diff(np.sort(u, axis=0), axis=0) == pytest.approx(1 / N_DITHERS, abs=1e-11)
    assert np.abs(u).max() <= 0.5 + 1e-11
    assert np.abs(u.mean(0)).max() <= 0.5 / N_DITHERS + 1e-11
    assert u.var(0) == pytest.approx((1 - N_DITHERS**-2) / 12, rel=1e-9)


# ---- App. B.2: the cost of a step ---------------------------------------------------------------------------------


def quadrature_of_kl(offset: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """KL(q || p) of eq. 9 in bits for a width of 1: q uniform around ``offset``, p a logistic convolved with it.

    Independent of the package: -log2 of the logistic's mass in the bin around z, its mean over z by Gauss-Legendre.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    scale = deviation * math.sqrt(3) / math.pi
    z = offset[..., None] + nodes / 2
    edges = [(np.abs(z) + half) / scale[..., None] for half in (-0.5, 0.5)]  # seen from the nearer tail
    mass = special.expit(-edges[0]) - special.expit(-edges[1])
    return (-np.log2(mass) * weights / 2).sum(-1)


@pytest.mark.parametrize("n_done", [0, 1, 2])
def test_the_mean_rate_of_a_step_is_the_kl_of_its_coordinates_app_b2(n_done: int) -> None:
    """Rates of training, over noise u at Gauss-Legendre nodes, against the KL of every coordinate that is sent."""
    networks = banded_networks().double()
    with torch.no_grad():
        networks.bands.log_deviation.copy_(6.0 - 0.02 * torch.arange(N_BANDS))
        for head in networks.bands.heads:  # densities that do not depend on the noise, other than those at the start
            own = head.end.out_channels // 2
            head.end.bias.copy_(torch.linspace(-0.5, 0.5, 2 * own))
    generator = torch.Generator().manual_seed(n_done)
    shape = (1, N_BANDS, 2, 2)
    x, z = (100 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    done = torch.randint(n_done + 1, shape, generator=generator)
    state = BandState(torch.where(done > 0, z, 0.0), done)
    nodes, node_weights = np.polynomial.legendre.leggauss(64)
    u = torch.from_numpy(nodes / 2)[:, None, None, None].expand(64, *shape[1:])
    many = BandState(state.z.expand_as(u), done.expand_as(u))
    with torch.no_grad():
        opened = networks.bands.open(n_done, many)
        after, rate, _ = BandedObjective(networks, [], [])._band_step(n_done, many, opened, x.expand_as(u), u)
    sent = (after.done[:1] == n_done + 1).numpy()
    assert 0 < sent.sum() < sent.size
    constants = networks.schedule.constants[n_done]
    width = constants.width[done] / constants.x_weight[done]  # in units of x, as if z_s / e
    mean, deviation = np.zeros(shape), np.zeros(shape)
    for index in range(N_BAND_SECTIONS):
        of, _ = band_section(index, 2, 2)
        bias = np.float32(np.linspace(-0.5, 0.5, 2 * (of.stop - of.start)))[:, None, None]
        mean[:, of] = bias[: len(bias) // 2]
        deviation[:, of] = np.exp(bias[len(bias) // 2 :])
    picture, spread = opened.picture[:1].clamp(-128, 128), opened.spread[:1]
    x_hat = networks.bands.coefficients(picture).detach() + spread * torch.from_numpy(mean)
    kl = quadrature_of_kl((x - x_hat).numpy() / width, spread.numpy() * deviation / width)
    found = (node_weights / 2) @ rate.numpy() * x.numel() / 3
    assert found == pytest.approx(kl[sent].sum(), rel=1e-6)  # outputs of heads are float32


# ---- the channel of one coordinate: information, and what dithering costs -------------------------------------------


def information(deviation: float) -> float:
    """I(x; x + D U) in bits for x ~ N(0, deviation^2), D = sqrt(12), by quadrature: h(x + D U) - log2 D.

    The noise has variance 1. p(z) D is the mass of the normal density in the bin around z, so that this is the cost
    of the step with g = N(0, deviation^2) (App. B.2), the best one.
    """
    half = math.sqrt(12) / 2 / deviation

    def h(z: float) -> float:
        mass = special.ndtr(half - z) - special.ndtr(-half - z)
        return -special.xlogy(mass, mass) / math.log(2)

    # In units of the deviation, around an edge of the box; p is flat before it, where the mass is 1.
    points = sorted({half - 9, half, 0.0})
    whole = integrate.quad(h, max(0, half - 9), half + 9, points=points[1:], epsabs=1e-12, limit=400)[0]
    return 2 * float(whole) * deviation / math.sqrt(12)


def test_a_uniform_channel_tells_at_most_a_quarter_bit_more_than_a_gaussian_one() -> None:
    """0 <= I(x; x + D U) - 1/2 log2(1 + s^2 / sigma^2) < 1/2 log2(2 pi e / 12) (Zamir & Feder 1992).

    Normal noise tells the least of a normal source of all noises of a variance; and h(x + D U) is at most that of the
    normal of its variance. The difference grows with s, to the bound itself.
    """
    deviations = 2.0 ** np.arange(-4, 9)
    loss = [information(s) - 0.5 * math.log2(1 + s * s) for s in deviations]
    assert loss[0] < loss[1] < loss[2] < loss[3]
    assert min(loss) > 0
    assert max(loss) < DITHERING_LOSS + 1e-10  # of the quadrature
    assert loss[-1] == pytest.approx(DITHERING_LOSS, abs=1e-9)


@pytest.mark.parametrize("density", ["gaussian", "logistic"])
def test_a_well_known_coordinate_costs_bits_in_proportion_to_its_uncertainty(density: str) -> None:
    """For s << D: 2 (s / D) int -F log2 F dt bits, F the distribution function; a Gaussian channel costs (s / D)^2.

    Where the bin ends inside the density of x, the mass falls from 1 to 0 as F does: once at each edge.
    """
    if density == "gaussian":
        area = integrate.quad(lambda t: -special.ndtr(t) * special.log_ndtr(t), -12, 12, epsabs=1e-13)[0]
    else:
        area = math.pi**2 / 6 * math.sqrt(3) / math.pi  # int_0^1 -ln(u) / (1 - u) du, times the scale of deviation 1
    slope = 2 * area / math.log(2)
    assert slope == pytest.approx({"gaussian": 2.606, "logistic": 2.617}[density], abs=5e-4)
    width = math.sqrt(12)
    nodes = torch.linspace(-1, 1, 400_001, dtype=torch.float64) * 2 * width
    for s in (0.1, 0.02):
        one = torch.full_like(nodes, s)
        log_mass = bin_log_mass(nodes, torch.zeros_like(nodes), one, width, density)
        bits = float(torch.trapezoid(-log_mass.exp() * log_mass, nodes)) / width / math.log(2)
        assert bits == pytest.approx(slope * s / width, rel=1e-6)
        gaussian = 0.5 * math.log2(1 + s * s)
        assert gaussian == pytest.approx(6 * (s / width) ** 2 / math.log(2), rel=0.006)  # s^2 / 2 of the next term
        assert bits > 10 * gaussian


def test_at_step_1_pixels_cost_0_18_bits_each_where_little_is_told() -> None:
    """A coordinate with s = 0.069 D costs 0.18 bits, and a Gaussian channel 0.04: why early steps are in bands."""
    s = 0.069 * math.sqrt(12)
    assert information(s) == pytest.approx(0.18, abs=0.001)
    assert 0.5 * math.log2(1 + s * s) == pytest.approx(0.040, abs=0.001)


def test_what_is_sent_is_worth_its_bits() -> None:
    """What a bit saves grows with the deviation; at the threshold, 2^(1/4) sigma, it is two thirds of its price.

    The price is that of reverse water-filling at the level sigma^2, -dD / dR = 2 ln 2 sigma^2. The rest is not lost:
    later steps need fewer bits for a coordinate that is known already.
    """

    def saved_per_bit(s: float) -> float:
        return (s * s - s * s / (s * s + 1)) / information(s) / (2 * math.log(2))

    assert saved_per_bit(THRESHOLD) == pytest.approx(0.67, abs=0.005)
    assert saved_per_bit(THRESHOLD / 2) < 0.25
    assert saved_per_bit(THRESHOLD * 1.3) > 1
    deviation = torch.tensor([THRESHOLD * (1 - 1e-9), THRESHOLD * (1 + 1e-9)], dtype=torch.float64)
    assert sends(13 * deviation, 13.0).tolist() == [False, True]


# ---- a Gaussian source of a known spectrum, against reverse water-filling ------------------------------------------


def water_filling_bits(variances: np.ndarray, distortion: float) -> float:
    """R(D) of independent normal coordinates: sum of max(0, 1/2 log2(v / theta)) where sum of min(theta, v) = D.

    Cover & Thomas, *Elements of Information Theory*, second edition, theorem 10.3.3.
    """
    low, high = 0.0, float(variances.max())
    for _ in range(200):
        theta = (low + high) / 2
        low, high = (theta, high) if np.minimum(theta, variances).sum() < distortion else (low, theta)
    return float(np.maximum(0, 0.5 * np.log2(variances / theta)).sum())


SPECTRA = {
    "1/f^2 as of photographs": 600.0**2 / np.arange(1, 193) ** 1.8,  # the deviations at the start of training
    "geometric": 400.0**2 * 0.93 ** np.arange(192),
    "at the threshold": np.full(192, (THRESHOLD * 22.5) ** 2),
    "just below it": np.full(192, (THRESHOLD * 22.5 * 0.999) ** 2),
}


def excess_of_allocation(ratio: np.ndarray) -> np.ndarray:
    """Bits above the water-filling's tangent of a coordinate with ``ratio`` times the distortion of the water level."""
    return (ratio - 1 - np.log(ratio)) / (2 * math.log(2))


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("sigma", [100.0, 22.5, 7.0])
def test_one_step_is_near_the_rate_distortion_function(spectrum: str, sigma: float) -> None:
    """At most 1/2 log2(2 pi e / 12) bits a coordinate sent above sum R_i(D_i), which is a little above R(sum D_i).

    R_i(d) = 1/2 log2(v / d) (theorem 10.3.2 of Cover & Thomas). The linear estimate has d = v sigma^2 / (v + sigma^2),
    which gives 1/2 log2(1 + v / sigma^2): the Gaussian channel. Dithering costs at most that much more (Zamir & Feder
    1992). One noise for all is not quite what water-filling allots. As R is convex with the slope
    -1 / (2 theta ln 2) at the level theta = sigma^2, R(D) >= sum_i min_d [R_i(d) + (d - D_i) / (2 theta ln 2)]. A
    coordinate at r theta is (r - 1 - ln r) / (2 ln 2) bits above its minimum, but at it where D_i = v <= theta. One
    that is sent has r = a / (1 + a), a = v / theta >= sqrt(2), so 0.087 bits at most; one that is not, though
    v > theta, has r = a < sqrt(2): 0.049.
    """
    variances = SPECTRA[spectrum]
    is_sent = sends(torch.from_numpy(np.sqrt(variances)), sigma).numpy()
    sent, left = variances[is_sent], variances[~is_sent]
    distortions = sent * sigma**2 / (sent + sigma**2)
    rate = sum(information(math.sqrt(v) / sigma) for v in sent)
    assert 0 <= rate - 0.5 * np.log2(sent / distortions).sum() <= DITHERING_LOSS * len(sent)
    ratios = np.append(distortions, left[left > sigma**2]) / sigma**2
    allocation = excess_of_allocation(ratios)
    assert len(ratios) == 0 or allocation.max() <= 0.0871
    least = water_filling_bits(variances, float(distortions.sum() + left.sum()))
    assert -1e-9 <= rate - least <= DITHERING_LOSS * len(sent) + allocation.sum() + 1e-9


def test_the_bounds_of_one_step_are_nearly_attained() -> None:
    """Where all coordinates are at the threshold; more steps and finer ones are needed to be nearer to R(D)."""
    ratio = THRESHOLD**2 / (1 + THRESHOLD**2)
    least = water_filling_bits(np.full(8, THRESHOLD**2), 8 * ratio) / 8
    assert information(THRESHOLD) - least == pytest.approx(DITHERING_LOSS, abs=0.002)  # one variance, one allotment
    assert excess_of_allocation(np.array([ratio, THRESHOLD**2])) == pytest.approx([0.0870, 0.0488], abs=5e-5)


def test_a_logistic_density_costs_little_more_than_the_normal_one_of_the_source() -> None:
    """Cross entropy with the logistic of the source's deviation: less than KL(N || logistic) = 0.0151 bits more."""
    kl = integrate.quad(
        lambda t: stats.norm.pdf(t) * (stats.norm.logpdf(t) - stats.logistic.logpdf(t, scale=math.sqrt(3) / math.pi)),
        -12,
        12,
    )[0] / math.log(2)
    width = math.sqrt(12)
    for s in (THRESHOLD, 4.0, 64.0):
        z = torch.linspace(-1, 1, 40_001, dtype=torch.float64) * (9 * s + width)
        given = torch.zeros_like(z), torch.full_like(z, s), width
        p, q = bin_log_mass(z, *given, "gaussian"), bin_log_mass(z, *given, "logistic")
        more = float(torch.trapezoid(p.exp() * (p - q), z)) / width / math.log(2)
        assert 0 < more < kl
    assert kl == pytest.approx(0.01514, abs=1e-5)
    assert more == pytest.approx(kl, rel=0.01)


# ---- the transform ------------------------------------------------------------------------------------------------


def test_the_transform_is_orthonormal_and_complete() -> None:
    """A picture of one block is 192 numbers: their matrix times its transpose is the identity, both ways.

    So white noise of pixels is white noise of coefficients, and squared errors are equal.
    """
    bands = banded_networks().double().bands
    pixels = torch.eye(N_BANDS, dtype=torch.float64).reshape(N_BANDS, 3, 8, 8)
    matrix = bands.coefficients(pixels).flatten(1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(N_BANDS, dtype=torch.float64), rtol=0, atol=1e-13)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(N_BANDS, dtype=torch.float64), rtol=0, atol=1e-13)
    x, y = torch.randn(2, 3, 3, 24, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    there = bands.coefficients(x)
    assert there.shape == (3, N_BANDS, 3, 2)
    torch.testing.assert_close(bands.pixels(there), x, rtol=0, atol=1e-13)
    error = (bands.coefficients(y) - there).square().sum()
    assert float(error) == pytest.approx(float((y - x).square().sum()), rel=1e-14)


def test_untrained_networks_are_the_best_linear_estimate() -> None:
    """Of x ~ N(0, p^2) and z = x + sigma N: mean p^2 / (p^2 + sigma^2) z, variance p^2 sigma^2 / (p^2 + sigma^2)."""
    networks = banded_networks().double()
    shape = (1, N_BANDS, 2, 2)
    generator = torch.Generator().manual_seed(0)
    done = torch.randint(3, shape, generator=generator)
    z = torch.where(done > 0, 100 * torch.randn(shape, generator=generator, dtype=torch.float64), 0.0)
    opened = networks.bands.open(2, BandState(z, done))
    p = networks.bands.log_deviation.exp()[:, None, None]
    sigma = torch.from_numpy(networks.schedule.noise(done.numpy()))
    mean = torch.where(done > 0, p**2 / (p**2 + sigma**2) * z, 0.0)
    deviation = torch.where(done > 0, p * sigma / (p**2 + sigma**2).sqrt(), p)
    torch.testing.assert_close(networks.bands.coefficients(opened.picture), mean, rtol=0, atol=1e-11)
    torch.testing.assert_close(opened.spread, deviation, rtol=1e-12, atol=0)
