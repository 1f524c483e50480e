"""Every method sends samples of its distribution, in bits from which the decoder gets the same sample."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from uqdm.channel.contract import Simulator
from uqdm.channel.gaussian import LOST_MASS, log_max_ratio, log_ratio, mean_of_kl
from uqdm.channel.greedy_rejection import GreedyRejection, SplitGreedyRejection, _levels
from uqdm.channel.minimal_random import MinimalRandom
from uqdm.channel.ordered_random import OrderedRandom
from uqdm.channel.poisson import PoissonFunctional
from uqdm.channel.randomness import Candidates, numbers_drawn
from uqdm.channel.universal import WIDTH, UniversalQuantization, uniform_kl_bits, uniform_mean_of_kl

pytestmark = pytest.mark.slow

EXACT = [PoissonFunctional, GreedyRejection, SplitGreedyRejection]
BIASED = [MinimalRandom, OrderedRandom]
ALL = [*EXACT, *BIASED, UniversalQuantization]
MANY_DIMENSIONS = [PoissonFunctional, *BIASED, UniversalQuantization]
N = 1000
# Seeds are fixed, so that tests are deterministic. At a level of 0.001, a correct method fails with one in a thousand
# sets of seeds; with N = 1000 the bound of the statistic is 0.062, which a shift of 0.16 deviations exceeds.
LEVEL = 0.001


def samples(coder: Simulator, mu: np.ndarray, count: int = N) -> np.ndarray:
    sent = [coder.encode(mu, seed) for seed in range(count)]
    stopped = sum(message.stopped for message in sent)
    assert stopped <= 2  # they can move the statistic by 0.002
    return np.stack([message.sample for message in sent if not message.stopped])


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("mean", [mean_of_kl(2.0), -mean_of_kl(2.0)])
def test_exact_methods_sample_q(method, mean):
    x = samples(method(2.0, max_draws=1 << 20), np.array([mean]))
    # The truncated mass, 3.2e-5, is far below what the test can detect.
    assert stats.kstest(x[:, 0], stats.norm(mean, 1).cdf).pvalue > LEVEL


def test_universal_quantization_samples_a_uniform_q():
    x = samples(UniversalQuantization(2.0), np.array([1.3]))
    assert stats.kstest(x[:, 0], stats.uniform(1.3 - WIDTH / 2, WIDTH).cdf).pvalue > LEVEL


@pytest.mark.parametrize("n", [2, 5])
def test_poisson_samples_q_in_many_dimensions(n):
    mu = np.zeros(n)
    mu[:2] = [1.2, -1.0]  # 1.8 bits
    x = samples(PoissonFunctional(1.8, n), mu)
    along = x @ mu / np.linalg.norm(mu)
    across = x[:, :2] @ np.array([1.0, 1.2]) / math.hypot(1.0, 1.2)
    assert stats.kstest(along, stats.norm(np.linalg.norm(mu), 1).cdf).pvalue > LEVEL
    assert stats.kstest(across, stats.norm(0, 1).cdf).pvalue > LEVEL


@pytest.mark.parametrize("method", BIASED)
def test_methods_of_a_fixed_number_of_candidates_are_biased_towards_p(method):
    mean = mean_of_kl(5.0)
    x = samples(method(5.0), np.array([mean]))[:, 0]
    assert stats.kstest(x, stats.norm(mean, 1).cdf).pvalue < 1e-6
    # Independent measurements at 5 to 8 bits: -0.25 to -0.39 deviations; the standard error here is 0.03.
    assert -0.45 < x.mean() - mean < -0.2
    assert method.bias


def test_ordered_random_coding_has_minimal_random_codings_distribution_at_fewer_bits():
    mean = mean_of_kl(4.0)
    one, other = (
        [coder.encode(np.array([mean]), seed) for seed in range(first, first + N)]
        for coder, first in ((MinimalRandom(4.0), 0), (OrderedRandom(4.0), N))
    )
    x, y = ([message.sample[0] for message in sent] for sent in (one, other))
    assert stats.ks_2samp(x, y).pvalue > LEVEL
    bits = [np.mean([len(message.bits) for message in sent]) for sent in (one, other)]
    assert bits[1] < bits[0] - 2  # of 8


@pytest.mark.parametrize("method", ALL)
def test_decoder_gets_the_same_sample(method):
    for kl_bits in (0.0, 0.7, 3.0):
        coder, decoder = (method(kl_bits, max_draws=1 << 18) for _ in range(2))
        for seed in range(20):
            sent = coder.encode(np.array([mean_of_kl(kl_bits)]), seed)
            assert decoder.decode(sent.bits, seed).tolist() == sent.sample.tolist()


@pytest.mark.parametrize("method", MANY_DIMENSIONS)
def test_decoder_gets_the_same_sample_of_many_dimensions(method):
    mu = np.linspace(-1, 0.5, 7)
    kl_bits = float(mu @ mu) / (2 * math.log(2))  # of N(mu, I) from N(0, I)
    for seed in range(10):
        sent = method(kl_bits, 7).encode(mu, seed)
        assert method(kl_bits, 7).decode(sent.bits, seed).tolist() == sent.sample.tolist()


@pytest.mark.parametrize("method", ALL)
def test_messages_are_bits_of_a_prefix_free_code(method):
    # All of one seed, since the code of universal quantization depends on the dither, which both sides know.
    mus = np.random.default_rng(0).normal(0, 2, 60)
    sent = [method(3.0, max_draws=1 << 18).encode(np.array([mu]), seed=5) for mu in mus]
    words = {message.bits for message in sent if not message.stopped}
    assert len(words) >= 3
    assert all(set(word) <= {"0", "1"} for word in words)
    assert not any(a != b and b.startswith(a) for a in words for b in words)


@pytest.mark.parametrize("method", ALL)
def test_bits_that_no_encoder_writes_are_refused(method):
    coder = method(3.0)
    bits = coder.encode(np.array([1.0]), seed=0).bits
    for wrong in (bits + "0", bits[:-1], ""):
        with pytest.raises(ValueError, match=r"bits|message"):
            coder.decode(wrong, seed=0)


@pytest.mark.parametrize("method", [PoissonFunctional, GreedyRejection, *BIASED])
def test_search_that_reaches_its_cap_sends_nothing(method):
    sent = [method(6.0, max_draws=3).encode(np.array([mean_of_kl(6.0)]), seed) for seed in range(20)]
    stopped = [message for message in sent if message.stopped]
    assert len(stopped) > 10
    assert {(message.bits, message.draws) for message in stopped} == {("", 3)}


@pytest.mark.parametrize("kl_bits", [1.0, 2.0])
def test_poisson_examines_w_max_candidates_on_average(kl_bits):
    mean = mean_of_kl(kl_bits)
    nats = kl_bits * math.log(2)
    greatest = math.exp(nats + 4 * math.sqrt(2 * nats))
    assert math.exp(log_max_ratio(np.array([mean]))) == pytest.approx(greatest / (1 - LOST_MASS), rel=1e-12)
    draws = [PoissonFunctional(kl_bits).encode(np.array([mean]), seed).draws for seed in range(400)]
    # The number is nearly exponential with this mean: for 400 messages the standard error is 5 %.
    assert np.mean(draws) == pytest.approx(greatest, rel=0.2)


def test_poisson_bits_are_within_the_bound_of_li_and_el_gamal():
    for kl_bits in (1.0, 2.0):
        mu = np.array([mean_of_kl(kl_bits)])
        sent = [PoissonFunctional(kl_bits).encode(mu, seed) for seed in range(300)]
        assert np.mean([len(message.bits) for message in sent]) < kl_bits + math.log2(kl_bits + 1) + 5  # whole bits: +1


def test_universal_quantization_takes_one_draw_a_dimension_and_its_divergence_in_bits():
    mean = uniform_mean_of_kl(3.0)
    assert uniform_kl_bits(mean) == pytest.approx(3.0)
    sent = [UniversalQuantization(3.0, n=16).encode(np.full(16, mean), seed) for seed in range(200)]
    assert {message.draws for message in sent} == {16}
    # -log2 of the bins is the divergence on average; 3,200 coordinates have a deviation of about 2 bits each.
    assert np.mean([message.ideal_bits for message in sent]) / 16 == pytest.approx(3.0, abs=0.1)
    assert all(len(message.bits) < message.ideal_bits + 2.01 for message in sent)


def test_greedy_levels_leave_the_mass_of_q_above_them():
    levels, left = _levels(mean_of_kl(1.0), 4096)
    x = np.linspace(-6, mean_of_kl(1.0) + 4, 400_001)
    ratio = np.exp(log_ratio(x[:, None], np.array([mean_of_kl(1.0)])))
    density = stats.norm.pdf(x)
    for at in (1, 2, 10):
        above = np.trapezoid(np.maximum(ratio - levels[at], 0) * density, x)
        assert left[at] == pytest.approx(above, abs=1e-6)  # error of the numerical integration
    assert (np.diff(levels) >= 0).all()
    assert (np.diff(left) <= 0).all()


def test_split_form_examines_few_candidates_at_large_divergences():
    mu = np.array([mean_of_kl(10.0)])
    draws = [SplitGreedyRejection(10.0).encode(mu, seed).draws for seed in range(200)]
    assert np.mean(draws) < 15


def test_invalid_input_is_refused():
    with pytest.raises(ValueError, match="one dimension"):
        SplitGreedyRejection(1.0, n=2)
    with pytest.raises(ValueError, match="kl_bits"):
        PoissonFunctional(math.nan)
    with pytest.raises(ValueError, match="expected 2 finite numbers"):
        PoissonFunctional(1.0, n=2).encode(np.zeros(3), 0)
    with pytest.raises(ValueError, match="seed"):
        PoissonFunctional(1.0).encode(np.zeros(1), -1)
    with pytest.raises(ValueError, match="bins away"):
        UniversalQuantization(1.0).encode(np.array([100.0]), 0)
    for base_sd in (0.0, 5e-324, math.inf, math.nan):
        with pytest.raises(ValueError, match="base_sd"):
            UniversalQuantization(1.0, base_sd=base_sd)


@pytest.mark.parametrize("n", [1, 2, 7, 100, 256, 512, 600])
def test_candidates_have_random_access(n):
    row, begin, indices = Candidates(seed=5, n=n), 0, [0, 255, 256, 767, 768, 1791, 5000]
    for block in itertools.islice(row.blocks(), 6):
        for index in indices:
            if begin <= index < begin + len(block.gaps):
                assert (row.at(index) == block.candidates[index - begin]).all()
        begin += len(block.gaps)


def test_any_candidate_costs_at_most_a_block():
    assert max(numbers_drawn(index, n) for n in (1, 17, 256) for index in (0, 10**6, 2**31 - 1)) <= 1 << 18
    for index in (0, 255, 10**6, 2**31 - 1):  # the last is some four million blocks from the first
        row = Candidates(seed=5, n=256)
        row._generator = counting = CountingGenerator(row._generator)
        row.at(index)
        assert counting.drawn == numbers_drawn(index, 256)


class CountingGenerator:
    """A generator that counts the numbers drawn from it."""

    def __init__(self, generator: np.random.Generator):
        self._generator = generator
        self.bit_generator = generator.bit_generator
        self.drawn = 0

    def standard_exponential(self, size: int) -> np.ndarray:
        self.drawn += size
        return self._generator.standard_exponential(size)

    def standard_normal(self, size: tuple[int, int]) -> np.ndarray:
        self.drawn += math.prod(size)
        return self._generator.standard_normal(size)
