"""The codes of channel simulation: lengths by theory, round trips, and refusal of what they do not write."""

import hashlib
from fractions import Fraction

import constriction
import numpy as np
import pytest

from uqdm.channel import range_code
from uqdm.channel.index_code import ZipfCode, zipf_code
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


def test_zipf_codes_of_diffc_files_are_golden():
    # Every code that a .diffc file can ask for, by its mean divergence in eighths of a bit and the cap of its searches.
    # Files depend on every word: a change of this digest is a new format version.
    digest = hashlib.sha256()
    for mean in range(256):
        for draws_bits in range(2, 32):
            words = ZipfCode(mean / 8, 1 << draws_bits)._octaves.words
            digest.update(" ".join(words).encode() + b"\n")
    assert digest.hexdigest() == "4e489448ebb5bc42f9a15285f4148cf42c52ec822e1cf574013e020d0bf70e17"


def test_numbers_beyond_the_zipf_code_are_refused():
    code = zipf_code(2.0, 1000)
    with pytest.raises(ValueError, match="1001"):
        code.encode(1001)
    beyond = code.encode(1000)[: -len("1")]
    with pytest.raises(ValueError, match="beyond 1000"):
        code.read(BitReader(code.encode(512)[:-9] + "1" * 9))
    with pytest.raises(ValueError, match="ends after"):
        code.read(BitReader(beyond))


CATEGORICAL = constriction.stream.model.Categorical(perfect=False)


@pytest.mark.parametrize("size", [1, 3, 40, 400])
def test_range_code_is_within_two_bits_of_the_ideal_length(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        masses = rng.dirichlet(np.full(5, 0.3), size)
        symbols = np.array([rng.choice(5, p=row) for row in masses])
        bits = range_code.encode(symbols, CATEGORICAL, masses)
        ideal = -np.log2(masses[np.arange(size), symbols]).sum()
        # constriction's probabilities are multiples of 2^-24, and none is 0.
        assert ideal - 0.01 * size <= len(bits) < ideal + 2 + 0.01 * size
        assert_message_is_decodable_and_prefix_free(bits, symbols, masses)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_range_code_resolves_carries(last):
    # The interval contains 1/2 up to the last symbol, so that no leading bit is known before it.
    masses = np.tile([0.5 - 1e-3, 2e-3, 0.5 - 1e-3], (60, 1))
    symbols = np.array([1] * 59 + [last])
    bits = range_code.encode(symbols, CATEGORICAL, masses)
    assert_message_is_decodable_and_prefix_free(bits, symbols, masses)


def assert_message_is_decodable_and_prefix_free(bits, symbols, masses):
    assert range_code.decode(bits, CATEGORICAL, masses).tolist() == symbols.tolist()
    # Whatever follows the message, the symbols are the same: no other message begins with it.
    for continuation in ("0" * 70, "1" * 70):
        decoder = constriction.stream.queue.RangeDecoder(range_code._words(bits + continuation))
        assert decoder.decode(CATEGORICAL, masses).tolist() == symbols.tolist()
    for wrong in (bits + "0", bits + "1", bits[:-1]):
        if wrong != bits:
            with pytest.raises(ValueError, match="bits are not a message"):
                range_code.decode(wrong, CATEGORICAL, masses)


def test_bits_outside_every_interval_are_refused():
    model = constriction.stream.model.QuantizedGaussian(-9, 9)
    for text in ("1" * 100, "", "1" * 100_000):
        with pytest.raises(ValueError, match="bits are not a message of 2 symbols"):
            range_code.decode(text, model, np.zeros(2), np.ones(2))
    for text in ("0b1", "-1", "+101", "1_0"):
        with pytest.raises(ValueError, match="consists of bits"):
            range_code.decode(text, model, np.zeros(2), np.ones(2))


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
