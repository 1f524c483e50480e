"""Guards tables of frequencies, their coder, and the integer normal distribution."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from uqdm.coding.ans import DamagedStreamError, Reader, Writer
from uqdm.coding.frequencies import TOTAL, Frequencies, edges_of
from uqdm.coding.gaussian import CELLS, MIN_OCTAVE, N_ROWS, gaussian_frequencies, normal_table

GOLDEN = ["aa7e3aa700fb6315", "0e641fd35bf64cec", "a97f7e53213f1fb7"]


def deviation_of(row: int) -> float:
    return float(2.0 ** ((row + 0.5) / CELLS + MIN_OCTAVE))


def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and rows of the Gaussian table; two symbols are far outside of their rows."""
    generator = np.random.default_rng(0)
    rows = generator.integers(0, N_ROWS, n)
    symbols = np.rint(generator.normal(size=n) * 2.0 ** ((rows + 0.5) / CELLS + MIN_OCTAVE)).astype(np.int64)
    symbols[3], symbols[7] = 2**31 - 1, -(2**31)
    return symbols, rows


def coded(symbols: np.ndarray, rows: np.ndarray) -> bytes:
    writer = Writer()
    writer.tabled(symbols, rows, gaussian_frequencies())
    return writer.finish(check=5)[0]


def test_symbols_return():
    symbols, rows = drawn(5000)
    reader = Reader(coded(symbols, rows))
    assert reader.tabled(rows, gaussian_frequencies()).tolist() == symbols.tolist()
    assert reader.check() == 5


def test_tables_and_bytes_are_golden():
    # An interface: other tables are another format of the files that are coded with them.
    table = gaussian_frequencies()
    digests = [hashlib.sha256(part.astype("<i8").tobytes()).hexdigest()[:16] for part in (table.edges, table.firsts)]
    stream = coded(*drawn(64))
    assert [*digests, hashlib.sha256(stream).hexdigest()[:16]] == GOLDEN


def test_the_normal_table_is_correctly_rounded():
    # Half a unit of 2^-30, and SciPy's own error, which is under 2^-50.
    exact = stats.norm.cdf(np.arange(normal_table().size - 2) / 256) * 2**30
    assert np.abs(normal_table()[:-2] - exact).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("row", range(0, N_ROWS, 5))
def test_rows_cost_little_over_the_normal_distribution(row: int):
    table, s = gaussian_frequencies(), deviation_of(row)
    edges = table.edges[table.starts[row] : table.starts[row + 1]]
    k = table.firsts[row] + np.arange(edges.size - 1)
    exact = stats.norm.cdf((k + 0.5) / s) - stats.norm.cdf((k - 0.5) / s)
    inside = exact > 0
    excess = (exact * np.log2(np.where(inside, exact, 1) * TOTAL / np.diff(edges)))[inside].sum()
    assert excess < 1e-4  # bits a symbol; the widest row gives a slot to each of 2,699 symbols: 3.5e-5


def test_a_cut_stream_is_refused():
    symbols, rows = drawn(100)
    with pytest.raises(DamagedStreamError, match="ends early"):
        Reader(coded(symbols, rows)[:40]).tabled(rows, gaussian_frequencies())


def test_rows_without_room_for_a_symbol_are_refused():
    for row in ([1, 1, 2], [0, 5], [1, TOTAL], [4]):
        with pytest.raises(ValueError, match="row 0"):
            Frequencies.of([np.array(row)], [0])


def test_impossible_symbols_still_get_a_slot():
    edges = edges_of(np.array([0, 1, 0]), 0, 0)
    assert np.diff([0, *edges, TOTAL]).min() == 1


@pytest.mark.parametrize("wrong", [[np.nan], [-1.0], [np.inf], [0.0]])
def test_wrong_probabilities_are_refused(wrong: list[float]):
    with pytest.raises(ValueError, match="finite"):
        edges_of(np.array(wrong), 0, 0)
