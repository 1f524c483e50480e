"""The paper's statements about its two processes, each under the number of its equation.

Equations and appendices are those of Yang et al. 2025 (ICLR) unless another source is named. What is compared with a
Monte Carlo mean must lie within five of its standard errors: a right answer fails once in two million times, and the
seeds are fixed.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from uqdm.diffusion import gaussian, process
from uqdm.diffusion.levels import Levels
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Schedule

SLOPE, GAMMA_MAX = 18.3, 6.0
UNCLIPPED = Levels.standardized([127.5], [50.0])
FAMILIES = {"gaussian": (special.ndtr, 1.0), "logistic": (special.expit, math.sqrt(3) / math.pi)}
"""Distribution function of each base density, and its scale at a deviation of 1."""


def schedule_of(n_steps):
    return Schedule(SLOPE, GAMMA_MAX, n_steps)


def snr(schedule, t):
    return math.exp(-schedule.gamma(t))


def assert_mean(samples, expected):
    samples = np.asarray(samples, np.float64)
    error = samples.std() / math.sqrt(samples.size)
    assert abs(samples.mean() - expected) < 5 * error, (samples.mean(), expected, error)


class Knowing(Denoiser):
    """Knows the data, and takes ``share`` of the posterior's deviation for its base density's."""

    def __init__(self, x, share, density):
        super().__init__()
        self.x, self.share, self.density = x, share, density

    def forward(self, z_t, step):
        return Prediction(self.x.expand_as(z_t), torch.full_like(z_t, self.share * step.posterior_sd))


def uniform_noise(generator):
    def noise(index, shape):
        drawn = torch.empty(shape, dtype=torch.float64)
        return drawn.normal_(generator=generator) if index == 0 else drawn.uniform_(-0.5, 0.5, generator=generator)

    return noise


# ---- App. A.2 and A.3: the uniform forward process ----------------------------------------------------------------


def noise_weights(schedule, n_done):
    """Deviations delta_{v|t} of the noise that each of the first ``n_done`` steps leaves in the latent behind them."""
    weights = []
    for step in schedule.steps()[:n_done]:
        weights = [weight * step.z_weight for weight in weights] + [step.posterior_sd]
    return np.array(weights)


@pytest.mark.parametrize(("n_steps", "n_done"), [(4, 1), (4, 3), (4, 4), (30, 17), (1000, 900)])
def test_latents_are_the_start_and_the_data_and_a_sum_of_uniforms_eq_8(n_steps, n_done):
    schedule = schedule_of(n_steps)
    steps = schedule.steps()[:n_done]
    z_share, x_share = 1.0, 0.0  # of z_T and x in z_t
    for step in steps:
        z_share, x_share = z_share * step.z_weight, x_share * step.z_weight + step.x_weight
    alpha_t, sigma_t, alpha, sigma = steps[0].alpha_t, steps[0].sigma_t, steps[-1].alpha_s, steps[-1].sigma_s
    whole = sigma_t**2 - (alpha_t / alpha * sigma) ** 2  # sigma^2_{T|t} of App. A.1
    # Doubles through 1,000 steps.
    assert z_share == pytest.approx(alpha_t / alpha * (sigma / sigma_t) ** 2, rel=1e-10)
    assert x_share == pytest.approx(whole * alpha / sigma_t**2, rel=1e-10)
    times = [schedule.time(index) for index in range(n_done + 1)]
    jumps = np.diff([snr(schedule, t) for t in times])
    assert noise_weights(schedule, n_done) == pytest.approx(sigma**2 / alpha * np.sqrt(jumps), rel=1e-9)
    assert (noise_weights(schedule, n_done) ** 2).sum() == pytest.approx(whole * (sigma / sigma_t) ** 2, rel=1e-10)
    assert all(step.width == pytest.approx(math.sqrt(12) * step.posterior_sd, rel=1e-15) for step in steps)


@pytest.mark.parametrize("n_steps", [2, 4, 12])
def test_the_uniform_process_has_the_moments_of_the_gaussian_one_app_a2(n_steps):
    schedule = schedule_of(n_steps)
    x = torch.full((1, 1, 100, 400), 0.3, dtype=torch.float64)
    noise = uniform_noise(torch.Generator().manual_seed(n_steps))
    transmissions = list(process.transmit(Knowing(x, 1.0, "gaussian"), schedule, x, noise))
    z_start = transmissions[0].z_t
    for n_done, sent in enumerate(transmissions, 1):
        first, step = schedule.step(0), sent.step
        z_share = first.alpha_t / step.alpha_s * (step.sigma_s / first.sigma_t) ** 2
        variance = (noise_weights(schedule, n_done) ** 2).sum()
        x_share = (first.sigma_t**2 - (first.alpha_t / step.alpha_s * step.sigma_s) ** 2) * step.alpha_s
        omega = (sent.z_s - z_share * z_start - x_share / first.sigma_t**2 * x).flatten().numpy() / math.sqrt(variance)
        assert_mean(omega, 0.0)
        assert_mean(omega**2, 1.0)
        # Fourth cumulant of a sum of uniforms: -1/120 of the fourth powers of their widths.
        assert_mean(omega**4, 3 - 1.2 * (noise_weights(schedule, n_done) ** 4).sum() / variance**2)


def distance_to_gaussian(deviations):
    """Largest difference between the distribution functions of a sum of uniforms and of the Gaussian of its moments.

    By inversion of the characteristic function (Gil-Pelaez 1951), which is a product of sin(h s) / (h s).
    """
    halves = math.sqrt(3) * deviations / math.sqrt((deviations**2).sum())
    s = (np.arange(20_000) + 0.5) * 2e-3  # beyond 40 both functions are under 1e-6 for the T that are tested
    difference = np.prod(np.sinc(halves[:, None] * s / np.pi), axis=0) - np.exp(-(s**2) / 2)
    places = np.linspace(0, 4, 201)
    return float(np.abs((np.sin(places[:, None] * s) * (difference / s)).sum(1) * 2e-3 / np.pi).max())


def test_the_uniform_process_converges_to_the_gaussian_one_theorem_a1():
    rho = 0.5  # t / T, held fixed
    found, expected = [], []
    for n_steps in (40, 80, 160, 320):
        weights = noise_weights(schedule_of(n_steps), round((1 - rho) * n_steps))
        kurtosis = -1.2 * (weights**4).sum() / (weights**2).sum() ** 2
        found.append(distance_to_gaussian(weights))
        expected.append(abs(kurtosis) / 24 * 0.5506)  # Edgeworth's first term; 0.5506 is the maximum of |He_3| phi
    ratios = np.array(found) / expected
    assert np.abs(ratios - 1)[-1] < 0.02  # what the next terms of the expansion leave at T = 320, measured: 0.014
    assert (np.diff(np.abs(ratios - 1)) < 0).all()
    assert np.array(found[1:]) / found[:-1] == pytest.approx([0.5] * 3, abs=0.03)  # of order 1 / T


# ---- App. B.1: the Gaussian step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [4, 1000])
def test_a_gaussian_step_costs_the_error_times_the_gain_in_snr_app_b1(n_steps):
    schedule = schedule_of(n_steps)
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(1, 1, 4, 6)
    x_hat = 0.7 * x + 0.1
    for step in (schedule.step(0), schedule.step(n_steps // 2), schedule.step(n_steps - 1)):
        prediction = gaussian.reverse(Prediction(x_hat, torch.ones_like(x)), step, "posterior")
        gain = snr(schedule, schedule.time(step.index + 1)) - snr(schedule, schedule.time(step.index))
        expected = 0.5 * gain * (x - x_hat) ** 2 / math.log(2)
        torch.testing.assert_close(gaussian.step_kl_bits(x, prediction, step), expected, rtol=1e-10, atol=0)


# ---- App. B.2: the quantized step ---------------------------------------------------------------------------------


def bits_by_app_b2(family, offset, deviation):
    """L of App. B.2 by quadrature, in bits, for a width of 1 and mu - mu_hat = ``offset``."""
    cdf, scale = FAMILIES[family]
    scale *= deviation

    def h(z):
        centre = abs(z + offset)  # seen from the nearer tail
        return -math.log2(cdf((-centre + 0.5) / scale) - cdf((-centre - 0.5) / scale))

    kinks = [point for point in (0.5 - offset, -0.5 - offset, -offset) if abs(point) < 0.5]
    return integrate.quad(h, -0.5, 0.5, points=kinks or None, epsabs=1e-11, limit=200)[0], h


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("offset", "deviation"), [(0.0, 0.2887), (0.3, 0.2887), (0.1, 0.1), (1.5, 0.7), (0.0, 5.0)])
def test_the_mean_of_step_bits_is_the_kl_of_a_quantized_step_app_b2(family, offset, deviation):
    step = schedule_of(4).step(2)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x_hat = torch.zeros(1, 1, 1, 400, dtype=torch.float64)
    z_s = torch.from_numpy(step.width * (offset + nodes / 2)).reshape(x_hat.shape)
    prediction = Prediction(x_hat, torch.full_like(x_hat, deviation * step.width))
    bits = process.step_bits(z_s, torch.zeros_like(x_hat), prediction, step, density=family)
    mean = float((bits.flatten() * torch.from_numpy(weights)).sum() / 2)
    assert mean == pytest.approx(bits_by_app_b2(family, offset, deviation)[0], rel=1e-7)  # of the two quadratures


@pytest.mark.parametrize("family", FAMILIES)
def test_a_narrow_bin_has_the_density_times_its_width_app_b2(family):
    """The error of -log(width g) falls with the square of the width: mass = width (g + width^2 g'' / 24 + ...)."""
    step = schedule_of(4).step(2)
    z = torch.linspace(-0.8, 0.8, 9, dtype=torch.float64).reshape(1, 1, 1, 9)
    log_density = {"gaussian": stats.norm.logpdf, "logistic": stats.logistic.logpdf}[family]
    scale = FAMILIES[family][1]
    exact = log_density(z.numpy() / scale) - math.log(scale)
    errors = []
    for width in (0.2, 0.1, 0.05):
        deviation = step.width / width
        prediction = Prediction(torch.zeros_like(z), torch.full_like(z, deviation))
        bits = process.step_bits(z * deviation, torch.zeros_like(z), prediction, step, density=family)
        errors.append(-bits.numpy() * math.log(2) - exact - math.log(width))
    assert np.abs(errors[0]).max() < 0.2**2 / 24 * 3.3  # |g'' / g| is under 3.3 there, at the logistic's mode
    assert errors[1] / errors[0] == pytest.approx(np.full(z.shape, 0.25), abs=0.01)
    assert errors[2] / errors[1] == pytest.approx(np.full(z.shape, 0.25), abs=0.003)


def simpson(h):
    return (4 * h(0) + h(-0.5) + h(0.5)) / 6


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("offset", [0.0, 0.2, 0.5])
def test_the_quadratic_approximation_holds_from_the_posteriors_deviation_on_app_b2(family, offset):
    # "Very accurate" is up to 0.018 bits for the Gaussian and 0.047 for the logistic, and better the wider they are.
    for times, tolerance in ((1, 0.018 if family == "gaussian" else 0.047), (2, 0.004), (4, 4e-4), (8, 5e-5)):
        exact, h = bits_by_app_b2(family, offset, times / math.sqrt(12))
        assert simpson(h) == pytest.approx(exact, abs=tolerance)
    exact, h = bits_by_app_b2(family, offset, 0.05)
    assert abs(simpson(h) - exact) > 0.05  # and is not meant for narrow ones
    assert min(simpson(bits_by_app_b2(family, 0.0, deviation)[1]) for deviation in (0.01, 0.1, 1, 10)) >= 1 / 3 - 1e-9


@pytest.mark.parametrize(
    ("density", "share", "bits"),
    [("logistic", 1.0, 0.38), ("logistic", 0.5, 0.19), ("gaussian", 1.0, 0.40), ("gaussian", 0.5, 0.20)],
)
def test_a_quantized_step_costs_a_constant_even_where_the_data_are_known_app_b2(density, share, bits):
    """The posterior's deviation costs 0.38 bits a coordinate and step, half of it 0.19, whatever the noise level."""
    exact = bits_by_app_b2(density, 0.0, share / math.sqrt(12))[0]
    assert exact == pytest.approx(bits, abs=0.005)  # rounded to two digits
    x = torch.full((1, 1, 100, 100), 0.25, dtype=torch.float64)
    for n_steps in (2, 9):
        noise = uniform_noise(torch.Generator().manual_seed(n_steps))
        for sent in process.transmit(Knowing(x, share, density), schedule_of(n_steps), x, noise):
            assert_mean(sent.bits.flatten(), exact)
        known = gaussian.transmit(
            Knowing(x, 1.0, density), schedule_of(n_steps), x, lambda i, shape: torch.randn(shape)
        )
        assert all((sent.bits == 0).all() for sent in known)  # while a Gaussian step then costs nothing


@pytest.mark.parametrize("density", FAMILIES)
def test_a_quantized_step_is_free_only_if_error_and_deviation_vanish_together_app_b2(density):
    """The last remark of App. B.2: with a deviation of about the error both may go to zero, and the cost goes too."""
    costs = [bits_by_app_b2(density, error, error)[0] for error in (0.2, 0.02, 0.002)]
    assert costs[0] > 10 * costs[2]
    assert costs[2] < 0.01
    assert bits_by_app_b2(density, 0.02, 0.002)[0] > bits_by_app_b2(density, 0.02, 0.02)[0]  # too narrow is no good


# ---- a Gaussian source: rates and distortions in closed form ------------------------------------------------------


class Bayes(Denoiser):
    """The best denoiser of x ~ N(0, variance): E[x | z_t], and the deviation of z_s given z_t."""

    any_schedule = True

    def __init__(self, variance):
        super().__init__()
        self.variance = variance

    def forward(self, z_t, step):
        total = step.alpha_t**2 * self.variance + step.sigma_t**2
        mmse = self.variance * step.sigma_t**2 / total
        scale = math.sqrt(step.posterior_sd**2 + step.x_weight**2 * mmse)
        return Prediction(step.alpha_t * self.variance / total * z_t, torch.full_like(z_t, scale))


def information_bits(variance, ratio):
    """I(x; z_t) of a Gaussian source at an SNR."""
    return 0.5 * math.log2(1 + variance * ratio)


def left_sum_bits(schedule, variance):
    """Expected cost of all steps with the posterior's deviation: 1/2 mmse(t) (SNR(s) - SNR(t)) of each (App. B.1)."""
    ratios = [snr(schedule, schedule.time(index)) for index in range(schedule.n_steps + 1)]
    return sum(0.5 * variance / (1 + variance * a) * (b - a) for a, b in itertools.pairwise(ratios)) / math.log(2)


def normal_noise(seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return lambda index, shape: torch.empty(shape, dtype=dtype).normal_(generator=generator)


def gaussian_source(variance, n=20_000):
    generator = torch.Generator().manual_seed(5)
    return math.sqrt(variance) * torch.empty((n, 1, 1, 1), dtype=torch.float64).normal_(generator=generator)


@pytest.mark.parametrize("n_steps", [1, 4, 40])
def test_with_the_best_deviation_steps_cost_the_information_at_any_t(n_steps):
    """Chain rule: the sum over steps of I(x; z_s | z_t) telescopes where p(z_s | z_t) is q(z_s | z_t) itself."""
    variance, schedule = 0.8, schedule_of(n_steps)
    x = gaussian_source(variance)
    found = gaussian.nelbo(Bayes(variance), schedule, x, normal_noise(1), deviation="predicted", levels=UNCLIPPED)
    ends = [information_bits(variance, snr(schedule, t)) for t in (0, 1)]
    assert_mean(found.steps.sum(1), ends[0] - ends[1])


def test_i_mmse_the_fixed_deviation_costs_the_sum_under_the_mmse_and_its_integral_in_the_limit():
    """dI / dSNR = mmse / 2 (Guo, Shamai & Verdu 2005, eq. 1): sums of App. B.1 fall to the information as T grows."""
    variance = 0.8
    ends = [information_bits(variance, snr(schedule_of(1), t)) for t in (0, 1)]
    limit = ends[0] - ends[1]
    excess = [left_sum_bits(schedule_of(n_steps), variance) - limit for n_steps in (50, 500, 1000, 2000)]
    assert (np.array(excess) > 0).all()
    assert np.array(excess[2:]) / excess[1:-1] == pytest.approx([0.5, 0.5], abs=0.01)  # of order 1 / T
    x = gaussian_source(variance)
    for n_steps in (10, 50):
        schedule = schedule_of(n_steps)
        found = gaussian.nelbo(Bayes(variance), schedule, x, normal_noise(2), levels=UNCLIPPED)
        assert_mean(found.steps.sum(1), left_sum_bits(schedule, variance))


def test_the_bound_is_the_sources_entropy_where_every_part_is_exact_eq_1():
    """Levels of a Gaussian source: z_0 with noise of a level is Gaussian too, and all levels near it are as likely."""
    levels = Levels.standardized([127.5], [20.0])
    shares = np.diff(stats.norm.cdf((np.arange(257) - 128) / 20.0))
    shares /= shares.sum()
    numbers = np.random.default_rng(3).choice(256, size=(20_000, 1, 1, 1), p=shares)
    x = levels.to_data(numbers.astype(np.uint8)).double()
    schedule = Schedule(12.0, 6.0, 8)  # SNR of e^6 at z_0: noise of 0.996 of a level
    found = gaussian.nelbo(Bayes(1.0), schedule, x, normal_noise(4), deviation="predicted", levels=levels)
    entropy = -(shares * np.log2(shares)).sum()
    # 0.002 bits: the source is flatter than the last stage takes it to be by up to 1/20 a level, 1/2 (1/20)^2 / ln 2.
    assert_mean(found.total - 0.002, entropy)
    torch.testing.assert_close(found.progressive[:, -1], found.total)
    torch.testing.assert_close(found.progressive[:, 0], found.prior)


@pytest.mark.parametrize("n_done", [100, 160])
def test_samples_of_a_gaussian_source_have_the_distortions_of_diffc_a_and_diffc_f(n_done):
    """Theis et al. 2022, Gaussian source of variance v at R = I(x; z_t) bits: 2 v 2^(-2R), and the flow's less.

    The flow carries z_t to the point of equal probability, so that x_hat is z_t, scaled to the variance of x:
    2 v (1 - sqrt(1 - 2^(-2R))). Denoised pictures have v 2^(-2R), the least there is.
    """
    variance, schedule = 0.8, schedule_of(400)
    x, denoiser = gaussian_source(variance), Bayes(variance)
    steps = schedule.steps()[n_done:]
    z_t = steps[0].alpha_t * x + steps[0].sigma_t * normal_noise(6)(0, x.shape)
    rate = information_bits(variance, math.exp(-steps[0].gamma_t))
    opened = denoiser.begin(z_t, steps[0])
    last = math.exp(steps[-1].gamma_s)  # z_0 / alpha_0 still holds noise of this variance, in ancestral samples
    noise = gaussian.normal_noise(torch.Generator().manual_seed(7))
    drawn = gaussian.ancestral(z_t, steps, denoiser, noise, first=opened, levels=UNCLIPPED)
    flown = gaussian.flow(denoiser, z_t, opened, steps)
    least = variance * 2 ** (-2 * rate)
    assert_mean((opened.x_hat - x).square().flatten(), least)
    assert_mean((drawn - x).square().flatten(), 2 * least + last)
    squared = (flown - x).square().flatten()
    expected = 2 * variance * (1 - math.sqrt(1 - 2 ** (-2 * rate)))
    # The flow is followed in steps of finite length: their error is a bias, of order 1 / T.
    assert float(squared.mean()) == pytest.approx(expected, rel=0.03, abs=5 * float(squared.std()) / math.sqrt(len(x)))
    assert least < float(squared.mean()) < float((drawn - x).square().mean())
