"""Shared randomness: identical on every machine, with the distributions of the process."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from uqdm.coding.randomness import DITHER_LEVELS, START_BITS, codewords, dither, start


def test_streams_are_golden():
    # Files depend on these: a change is a new format version.
    data = start(3, 12288).astype("<i4").tobytes() + dither(3, 2, 1, 12288).astype("<i4").tobytes()
    assert hashlib.sha256(data).hexdigest() == "c552d069f53edb8d1a99306fa1cbc8996234c422e082e6c2cf04537c6cf812d6"


def test_start_is_standard_normal():
    z = start(0, 200_000) / 2**START_BITS
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(z.std() - 1) < 5 / np.sqrt(2 * z.size)  # five standard errors


def test_dither_is_uniform_and_differs_between_seeds_steps_and_tiles():
    counts = np.bincount(dither(0, 1, 0, 256_000), minlength=DITHER_LEVELS)
    assert stats.chisquare(counts).pvalue > 1e-3
    streams = {dither(*key, 64).tobytes() for key in [(0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1)]}
    assert len(streams) == 4


def test_codewords_are_golden():
    # Files of DDCM depend on these: a change is a new format version.
    data = codewords(3, 2, 5, 7, 12288).astype("<i2").tobytes() + codewords(0, 0, 0, 3, 50).astype("<i2").tobytes()
    assert hashlib.sha256(data).hexdigest() == "a10950471c25fbb95d515a79fe795cdb9e46c2de42782638290584f731dce06f"


def test_codewords_are_standard_normal_and_unrelated_to_the_other_streams():
    words = codewords(0, 1, 0, 20, 10_000) / 2**START_BITS
    assert stats.kstest(words.ravel(), "norm").pvalue > 1e-3
    first = start(0, 10_000) / 2**START_BITS
    correlations = [float(np.corrcoef(word, other)[0, 1]) for word in words for other in (first, words[7])]
    correlations.remove(max(correlations))  # of word 7 with itself
    assert max(map(abs, correlations)) < 0.05  # five standard errors


@pytest.mark.parametrize("size", [1, 16, 17, 192])
def test_any_part_of_a_codebook_is_generated_alone(size):
    whole = codewords(2, 9, 0, 12, size)
    assert (codewords(2, 9, 3, 4, size) == whole[3:7]).all()
    assert (codewords(2, 9, 11, 1, size)[0] == whole[11]).all()


def test_seed_beyond_32_bits_is_refused():
    with pytest.raises(ValueError, match="seed"):
        start(1 << 32, 4)
