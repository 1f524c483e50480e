"""The code of a candidate's index, for Zipf's law in whole bits.

Indices are divided into octaves [2^j, 2^(j+1)). The octave has a Huffman code for its mass under Zipf's law, and the
place in the octave takes j plain bits. Within an octave the law is nearly flat: the plain bits lose about 0.04 bits.
"""

from __future__ import annotations

import functools
import itertools
import math

from scipy.special import zeta

from uqdm.channel.prefix_code import BitReader, PrefixCode, fixed_bits

_TOTAL = 1 << 24


class ZipfCode:
    """A prefix code of the numbers 1..most, for probabilities in proportion to number^-exponent.

    The exponent is 1 + 1 / (KL + log2(e) / e + 1). With it, an index of the Poisson functional representation takes at
    most KL + log2(KL + 1) + 4 bits on average (Li & El Gamal 2018, Sec. III).

    >>> code = zipf_code(2.0, 1 << 20)
    >>> bits = code.encode(11)
    >>> bits, code.read(BitReader(bits))
    ('100011', 11)
    """

    def __init__(self, kl_bits: float, most: int):
        self.exponent = 1 + 1 / (kl_bits + math.log2(math.e) / math.e + 1)
        self.most, octaves = most, most.bit_length()
        starts = [zeta(self.exponent, 1 << octave) for octave in range(octaves)] + [zeta(self.exponent, most + 1)]
        self._mass = float(starts[0] - starts[-1])
        shares = [float(a - b) / self._mass for a, b in itertools.pairwise(starts)]
        self._octaves = PrefixCode([max(1, round(share * _TOTAL)) for share in shares])

    def encode(self, number: int) -> str:
        """The bits of a number."""
        if not 1 <= number <= self.most:
            raise ValueError(f"number {number}: must be in 1..{self.most}")
        octave = number.bit_length() - 1
        return self._octaves.words[octave] + fixed_bits(number - (1 << octave), octave)

    def read(self, reader: BitReader) -> int:
        """The next number; ValueError for one greater than ``most``."""
        octave = self._octaves.read(reader)
        number = (1 << octave) + reader.take(octave)
        if number > self.most:
            raise ValueError(f"the message names candidate {number}, beyond {self.most}")
        return number

    def ideal_bits(self, number: int) -> float:
        """-log2 of the number's probability under Zipf's law."""
        return self.exponent * math.log2(number) + math.log2(self._mass)


@functools.lru_cache(maxsize=256)
def zipf_code(kl_bits: float, most: int) -> ZipfCode:
    """The code of a divergence and a greatest number, cached."""
    return ZipfCode(kl_bits, most)
