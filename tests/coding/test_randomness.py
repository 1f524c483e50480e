"""Shared randomness: identical on every machine, with the distributions of the process."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from uqdm.coding.randomness import DITHER_LEVELS, START_BITS, dither, start


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


def test_seed_beyond_32_bits_is_refused():
    with pytest.raises(ValueError, match="seed"):
        start(1 << 32, 4)
