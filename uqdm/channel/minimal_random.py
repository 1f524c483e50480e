"""Minimal random coding (Havasi et al. 2019): importance sampling from a fixed number of candidates.

There are 2^(KL + margin) candidates, and the index takes KL + margin plain bits. The sample's distribution converges to
q with the number of candidates; with few, it is biased towards p.
"""

from __future__ import annotations

import math

import numpy as np

from uqdm.channel.contract import MAX_DRAWS, Sent, Simulator
from uqdm.channel.prefix_code import BitReader, fixed_bits
from uqdm.channel.randomness import Candidates, private

MARGIN_BITS = 4.0


class MinimalRandom(Simulator):
    """One of 2^(KL + margin) candidates, drawn with probability in proportion to q / p.

    >>> coder = MinimalRandom(kl_bits=2.0)
    >>> len(coder.encode(np.array([1.6651]), seed=3).bits)
    6
    """

    name = "minimal random"
    source = "Havasi et al. 2019"
    bias = "lean towards p"

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS, margin_bits: float = MARGIN_BITS):
        super().__init__(kl_bits, n, max_draws=max_draws)
        self._index_bits = math.ceil(kl_bits + margin_bits)

    @property
    def n_candidates(self) -> int:
        """Number of candidates of each message."""
        return 1 << self._index_bits

    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """See :meth:`uqdm.channel.contract.Simulator.encode`."""
        mu = self._checked(mu)
        if self.n_candidates > self.max_draws:
            return Sent(None, "", self.max_draws)
        row = Candidates(seed, self.n)
        # The argmax of log w + Gumbel noise is distributed by the weights.
        scores = np.concatenate([part @ mu for part in _first(row, self.n_candidates)])
        index = int((scores + private(seed).gumbel(size=scores.size)).argmax())
        return Sent(row.at(index), fixed_bits(index, self._index_bits), scores.size, float(self._index_bits))

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        reader = BitReader(bits)
        index = reader.take(self._index_bits)
        reader.finish()
        return Candidates(seed, self.n).at(index)


def _first(row: Candidates, count: int) -> list[np.ndarray]:
    """The first ``count`` candidates, block by block."""
    parts = []
    for block in row.blocks():
        parts.append(block.candidates[: count - block.begin])
        if block.begin + len(block.candidates) >= count:
            return parts
    raise AssertionError("the sequence of blocks is endless")
