"""Chunks of a step: decoding returns the samples that were sent, which are of q."""

import numpy as np
import pytest
from scipy import stats

from uqdm.channel.prefix_code import BitReader
from uqdm.diffc.chunks import Channel, Limits, Tally, read, samples, send

LIMITS = Limits(chunk_bits=3, margin_bits=9)


def channel_of(size: int, seed: int, deviation: float = 0.6, spread: float = 1.0) -> Channel:
    return Channel(np.random.default_rng(seed).normal(0, spread, size), np.full(size, deviation))


@pytest.mark.parametrize(("size", "spread"), [(1, 0.1), (7, 3.0), (256, 0.02), (300, 0.7)])
def test_receiver_gets_the_same_samples(size, spread):
    channel, tally = channel_of(size, seed=size, spread=spread), Tally()
    bits, sent = send(channel, LIMITS, seed=5 << 32, tally=tally)
    reader = BitReader(bits + "0000")
    step = read(reader, size, LIMITS)
    assert reader.position == len(bits)
    assert samples(step, seed=5 << 32).tolist() == sent.tolist()
    assert [begin for begin, _ in step.bounds] == [0, *(end for _, end in step.bounds[:-1])]
    assert step.bounds[-1][1] == size
    assert tally.chunks == len(step.bounds)


def test_chunks_have_at_most_chunk_bits_or_one_coordinate():
    channel = channel_of(300, seed=0, spread=1.5)
    bits, _ = send(channel, LIMITS, seed=0, tally=Tally())
    bounds = read(BitReader(bits), 300, LIMITS).bounds
    kl_bits = channel.kl_bits
    assert all(end - begin == 1 or kl_bits[begin:end].sum() <= 3 for begin, end in bounds)
    assert any(end - begin > 1 for begin, end in bounds)


def test_samples_have_the_distribution_of_q():
    # Level 0.001 on fixed seeds, as for the methods themselves; 1,200 coordinates reveal a shift of 0.14 deviations.
    channel, tally = channel_of(1200, seed=1, deviation=0.7, spread=0.8), Tally()
    _, sent = send(channel, LIMITS, seed=7 << 32, tally=tally)
    standardized = (sent - channel.mean) / channel.deviation
    assert stats.kstest(standardized, stats.norm.cdf).pvalue > 0.001
    assert tally.uncertain < 0.1 * tally.chunks


def test_log_ratio_and_its_bound_match_the_gaussians():
    channel = Channel(np.array([0.5, -1.2]), np.array([0.6, 0.9]))
    z = np.random.default_rng(0).normal(size=(200, 2))
    expected = (stats.norm(channel.mean, channel.deviation).logpdf(z) - stats.norm.logpdf(z)).sum(axis=1)
    np.testing.assert_allclose(channel.log_ratio(z), expected, atol=1e-12)
    of_q = channel.mean + channel.deviation * np.random.default_rng(1).normal(size=(200_000, 2))
    ratios = channel.log_ratio(of_q)
    # The standard error of the mean is about 0.003.
    assert ratios.mean() / np.log(2) == pytest.approx(channel.kl_bits.sum(), abs=0.02)
    assert (ratios > channel.log_max_ratio).mean() <= 3.2e-5 + 4 * np.sqrt(3.2e-5 / 200_000)


def test_damaged_bits_are_refused():
    with pytest.raises(ValueError, match="halved at most"):
        read(BitReader("1111" + "0" * 40), 10, LIMITS)
    with pytest.raises(ValueError, match="ends after"):
        read(BitReader("0000"), 10, LIMITS)


def test_limits_out_of_range_are_refused():
    with pytest.raises(ValueError, match="chunk_bits=17"):
        Limits(17, 4)
