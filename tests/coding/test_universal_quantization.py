"""Guards tables of the normal distribution with a dither: universal quantization of a normal source costs h(Y + U)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from uqdm.coding.ans import Reader, Writer
from uqdm.coding.frequencies import TOTAL, TOTAL_BITS
from uqdm.coding.gaussian import (
    CELLS,
    DITHERS,
    MIN_OCTAVE,
    dither_values,
    dithered_frequencies,
    gaussian_frequencies,
)
from uqdm.coding.randomness import DITHER_LEVELS, dither

ROWS = (8, 24, 33, 40, 64)
"""Deviations from 0.13 to 17."""
N = 40_000


def deviation_of(row: int) -> float:
    return float(2.0 ** ((row + 0.5) / CELLS + MIN_OCTAVE))


def entropy_of_sum(deviation: float) -> float:
    """h(Y + U) in bits by quadrature: the density of the sum is Phi((t + 1/2) / s) - Phi((t - 1/2) / s)."""

    def integrand(t: float) -> float:
        mass = ndtr((0.5 - t) / deviation) - ndtr((-0.5 - t) / deviation)
        return float(-mass * np.log2(mass)) if mass > 0 else 0.0

    reach = 0.5 + 10 * deviation
    return 2 * quad(integrand, 0, reach, points=[0.5], limit=500, epsabs=1e-10)[0]


def quantized(row: int, mean: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols, dither indices, and errors of universal quantization of normal samples around means."""
    j = dither(7, 1, 0, N) // (DITHER_LEVELS // DITHERS)
    y = mean + deviation_of(row) * np.random.default_rng(row).standard_normal(N)
    k = np.rint(y - mean - dither_values(j)).astype(np.int64)
    return k, j, k + mean + dither_values(j) - y


@pytest.mark.parametrize("row", ROWS)
def test_mean_entropy_of_the_tables_is_that_of_the_sum(row: int) -> None:
    found = dithered_frequencies()
    entropies = []
    for j in range(DITHERS):
        start, end = found.starts[DITHERS * row + j], found.starts[DITHERS * row + j + 1]
        p = np.diff(np.concatenate([[0], found.edges[start:end], [TOTAL]])) / TOTAL
        entropies.append(float(-(p * np.log2(p)).sum()))
    # A sum over 32 dithers in place of an integral, and a slot for each symbol out of 2^24.
    assert np.mean(entropies) == pytest.approx(entropy_of_sum(deviation_of(row)), abs=4e-4)


@pytest.mark.parametrize("row", ROWS)
def test_a_normal_source_takes_the_entropy_of_the_sum_in_a_stream(row: int) -> None:
    """Also around means of any value: the channel is the same."""
    expected = entropy_of_sum(deviation_of(row))
    for mean in (0.0, np.random.default_rng(1).uniform(-9, 9, N)):
        k, j, _ = quantized(row, mean)
        rows = DITHERS * row + j
        writer = Writer()
        writer.tabled(k, rows, dithered_frequencies())
        stream = writer.finish_short(5)
        reader = Reader.short(stream)
        assert (reader.tabled(rows, dithered_frequencies()) == k).all()
        assert reader.check() == 5
        # The information of a symbol has a deviation of about 1 bit, and 40,000 symbols are drawn.
        assert 8 * len(stream) / N == pytest.approx(expected, abs=4 * 1.2 / np.sqrt(N))


@pytest.mark.parametrize("row", ROWS)
def test_the_error_is_uniform_and_independent_of_the_source(row: int) -> None:
    mean = np.random.default_rng(1).uniform(-9, 9, N)
    k, j, error = quantized(row, mean)
    deviation = 4 / np.sqrt(N)
    assert np.abs(error).max() <= 0.5 + 1 / (2 * DITHERS)
    assert abs(error.mean()) < deviation * np.sqrt(1 / 12)
    assert abs((error**2).mean() - 1 / 12) < deviation * np.sqrt(1 / 180) + 1 / 12 / DITHERS**2
    source = k + dither_values(j) + mean - error  # y
    for moment in (source - mean, (source - mean) ** 2, np.abs(source - np.rint(source)), mean):
        for power in (error, error**2):
            assert abs(np.corrcoef(moment, power)[0, 1]) < deviation
    counts, _ = np.histogram(error, 16, (-0.5, 0.5))
    assert ((counts - N / 16) ** 2 / (N / 16)).sum() < 45  # chi squared of 15 degrees: 1e-4


def test_rounding_depends_on_the_source_and_takes_other_bits() -> None:
    """A control: with a deviation of 0.18, rounding has smaller errors at 0, and fewer bits."""
    row = ROWS[0] + 4
    k = np.rint(deviation_of(row) * np.random.default_rng(0).standard_normal(N)).astype(np.int64)
    found = gaussian_frequencies()
    place = found.starts[row] + k - found.firsts[row]
    bits = TOTAL_BITS - np.log2(found.edges[place + 1] - found.edges[place])
    assert bits.mean() < entropy_of_sum(deviation_of(row)) / 3
