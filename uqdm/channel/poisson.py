"""The Poisson functional representation (Li & El Gamal 2018), with q truncated so that it ends.

Candidates of p arrive at the times of a Poisson process; the one with the least t p / q is a sample of q, exactly.
Gaussians of equal variance have an unbounded density ratio, and without the truncation of :mod:`gaussian` (3.2e-5 of
q's mass) no finite search would be sure of the minimum. With it, w_max candidates are looked at on average.
"""

from __future__ import annotations

import math

import numpy as np

from uqdm.channel.contract import Sent, Simulator
from uqdm.channel.gaussian import log_max_ratio, log_ratio
from uqdm.channel.index_code import zipf_code
from uqdm.channel.prefix_code import BitReader
from uqdm.channel.randomness import Candidates


class PoissonFunctional(Simulator):
    """The candidate that arrives first once times are divided by the density ratio.

    >>> coder = PoissonFunctional(kl_bits=2.0)
    >>> sent = coder.encode(np.array([1.6651]), seed=3)
    >>> bool((coder.decode(sent.bits, seed=3) == sent.sample).all())
    True
    """

    name = "poisson"
    source = "Li & El Gamal 2018"

    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """See :meth:`uqdm.channel.contract.Simulator.encode`."""
        mu = self._checked(mu)
        number, draws = self._search(mu, Candidates(seed, self.n))
        if number == 0:
            return Sent(None, "", draws)
        code = zipf_code(self.kl_bits, self.max_draws)
        return Sent(
            Candidates(seed, self.n).at(number - 1), code.encode(number), draws, ideal_bits=code.ideal_bits(number)
        )

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        reader = BitReader(bits)
        number = zipf_code(self.kl_bits, self.max_draws).read(reader)
        reader.finish()
        return Candidates(seed, self.n).at(number - 1)

    def _search(self, mu: np.ndarray, row: Candidates) -> tuple[int, int]:
        """Number of the winner, from 1, or 0 where the cap came first; and candidates looked at."""
        greatest = math.exp(log_max_ratio(mu))
        best, number, time = math.inf, 0, 0.0
        for block in row.blocks():
            times = time + np.cumsum(block.gaps)
            # t / w: whatever comes once t / w_max has reached the best is later than it.
            scores = times * np.exp(-log_ratio(block.candidates, mu))
            before = np.minimum(best, np.minimum.accumulate(np.concatenate([[best], scores[:-1]])))
            over = times >= greatest * before
            size = int(over.argmax()) if over.any() else len(times)
            looked_at = min(size, self.max_draws - block.begin)
            if looked_at:
                winner = int(scores[:looked_at].argmin())
                if scores[winner] < best:
                    best, number = float(scores[winner]), block.begin + winner + 1
            if looked_at < size:
                return 0, self.max_draws
            if size < len(times):
                return number, block.begin + size
            time = float(times[-1])
        raise AssertionError("blocks do not end")
