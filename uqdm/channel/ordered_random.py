"""Ordered random coding (Theis & Yosri 2022): minimal random coding with an index of less entropy.

The exponential times by which candidates are compared are sorted. Early candidates are then chosen more often, which
lowers the entropy of the index; the distribution of the sample, with its bias, is that of minimal random coding.
"""

from __future__ import annotations

import math

import numpy as np

from uqdm.channel.contract import MAX_DRAWS, Sent, Simulator
from uqdm.channel.index_code import zipf_code
from uqdm.channel.minimal_random import MARGIN_BITS
from uqdm.channel.prefix_code import BitReader
from uqdm.channel.randomness import Candidates


class OrderedRandom(Simulator):
    """One of 2^(KL + margin) candidates: the one with the least sorted exponential time over density ratio.

    >>> coder = OrderedRandom(kl_bits=2.0)
    >>> coder.encode(np.array([1.6651]), seed=3).draws
    64
    """

    name = "ordered random"
    source = "Theis & Yosri 2022"
    bias = "lean towards p"

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS, margin_bits: float = MARGIN_BITS):
        super().__init__(kl_bits, n, max_draws=max_draws)
        self.n_candidates = 1 << math.ceil(kl_bits + margin_bits)

    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """See :meth:`uqdm.channel.contract.Simulator.encode`."""
        mu = self._checked(mu)
        if self.n_candidates > self.max_draws:
            return Sent(None, "", self.max_draws)
        row = Candidates(seed, self.n)
        index = self._choose(row, mu)
        code = zipf_code(self.kl_bits, self.n_candidates)
        return Sent(row.at(index), code.encode(index + 1), self.n_candidates, code.ideal_bits(index + 1))

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        reader = BitReader(bits)
        number = zipf_code(self.kl_bits, self.n_candidates).read(reader)
        reader.finish()
        return Candidates(seed, self.n).at(number - 1)

    def _choose(self, row: Candidates, mu: np.ndarray) -> int:
        best, chosen, time = math.inf, 0, 0.0
        for block in row.blocks():
            left = self.n_candidates - block.begin  # candidates that have no time yet
            size = min(left, len(block.gaps))
            # Gaps between sorted exponentials: of rate equal to the number of those that remain.
            times = time + np.cumsum(block.gaps[:size] / (left - np.arange(size)))
            scores = np.log(times) - block.candidates[:size] @ mu
            winner = int(scores.argmin())
            if scores[winner] < best:
                best, chosen = float(scores[winner]), block.begin + winner
            if size == left:
                return chosen
            time = float(times[-1])
        raise AssertionError("the sequence of blocks is endless")
