"""The codes of channel simulation: lengths by theory, round trips, and refusal of what they do not write."""

import math
from fractions import Fraction

import numpy as np
import pytest

from uqdm.channel import interval_code
from uqdm.channel.index_code import zipf_code
from uqdm.channel.prefix_code import BitReader, PrefixCode
from uqdm.channel.randomness import Candidates, uniforms


def test_huffman_codes_are_complete_and_within_a_bit_of_the_entropy():
    frequencies = [1, 1, 2, 3, 50, 700, 12]
    code = PrefixCode(frequencies)
    assert sum(Fraction(1, 2 ** len(word)) for word in code.words) == 1
    shares = np.array(frequencies) / sum(frequencies)
    entropy = -(shares * np.log2(shares)).sum()
    assert entropy <= shares @ [len(word) for word in code.words] < entropy + 1
    text = "".join(code.words[symbol] for symbol in (3, 5, 0, 6))
    reader = BitReader(text)
    assert [code.read(reader) for _ in range(4)] == [3, 5, 0, 6]
    reader.finish()


def test_a_code_of_one_symbol_takes_no_bits():
    code = PrefixCode([7])
    assert code.words == [""]
    assert code.read(BitReader("")) == 0


@pytest.mark.parametrize("kl_bits", [0.0, 1.0, 8.0])
def test_the_zipf_code_is_near_zipfs_law_and_reads_what_it_writes(kl_bits):
    code = zipf_code(kl_bits, 1000)
    numbers = np.arange(1, 1001)
    shares = numbers**-code.exponent / (numbers**-code.exponent).sum()
    ideal = np.array([code.ideal_bits(number) for number in numbers])
    np.testing.assert_allclose(ideal, -np.log2(shares), atol=1e-9)
    words = [code.encode(number) for number in numbers.tolist()]
    assert [code.read(BitReader(word)) for word in words] == numbers.tolist()
    lengths = np.array([len(word) for word in words])
    assert sum(Fraction(1, 2**length) for length in lengths.tolist()) <= 1
    assert shares @ lengths < shares @ ideal + 1


def test_numbers_beyond_the_zipf_code_are_refused():
    code = zipf_code(2.0, 1000)
    with pytest.raises(ValueError, match="1001"):
        code.encode(1001)
    beyond = code.encode(1000)[: -len("1")]
    with pytest.raises(ValueError, match="beyond 1000"):
        code.read(BitReader(code.encode(512)[:-9] + "1" * 9))
    with pytest.raises(ValueError, match="ends after"):
        code.read(BitReader(beyond))


def test_the_interval_code_takes_less_than_two_bits_more_than_the_ideal():
    rng = np.random.default_rng(0)
    for size in (1, 3, 40):
        masses = rng.dirichlet(np.full(5, 0.3), size)
        bounds = [interval_code.cumulative(row) for row in masses.tolist()]
        symbols = [int(rng.choice(5, p=row)) for row in masses]
        bits = interval_code.encode(symbols, bounds)
        ideal = -sum(math.log2((b[s + 1] - b[s]) / 2**32) for s, b in zip(symbols, bounds, strict=True))
        assert ideal <= len(bits) < ideal + 2
        assert interval_code.decode(bits, bounds) == symbols


def test_blocks_of_candidates_are_found_without_those_before():
    row = Candidates(seed=9, n=3)
    blocks = []
    for block in row.blocks():
        blocks.append(block.candidates)
        if block.begin > 10_000:
            break
    drawn = np.concatenate(blocks)
    for index in (0, 255, 256, 767, 768, 9999):
        assert row.at(index).tolist() == drawn[index].tolist()
    assert not np.array_equal(Candidates(seed=8, n=3).at(0), drawn[0])
    assert uniforms(9, 3).tolist() == uniforms(9, 5)[:3].tolist()
