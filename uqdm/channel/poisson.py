"""The Poisson functional representation (Li & El Gamal 2018), with q truncated so that it ends.

Candidates of p arrive at the times of a Poisson process; the one with the least t p / q is a sample of q, exactly.
Gaussians of equal variance have an unbounded density ratio, and without the truncation of :mod:`gaussian` (3.2e-5 of
q's mass) no finite search would be sure of the minimum. With it, w_max candidates are looked at on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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
        row = Candidates(seed, self.n)
        found = first_arrival(row, lambda candidates: log_ratio(candidates, mu), log_max_ratio(mu), self.max_draws)
        if not found.certain:
            return Sent(None, "", found.draws)
        code = zipf_code(self.kl_bits, self.max_draws)
        return Sent(
            row.at(found.number - 1), code.encode(found.number), found.draws, ideal_bits=code.ideal_bits(found.number)
        )

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        reader = BitReader(bits)
        number = zipf_code(self.kl_bits, self.max_draws).read(reader)
        reader.finish()
        return Candidates(seed, self.n).at(number - 1)


@dataclass(frozen=True)
class Arrival:
    """The winner among the candidates looked at."""

    number: int
    """From 1."""
    draws: int
    """Candidates looked at."""
    certain: bool
    """Whether no later candidate could have won; where a cap stopped the search, it is not known."""


def first_arrival(
    row: Candidates, log_ratio: Callable[[np.ndarray], np.ndarray], log_max: float, max_draws: int
) -> Arrival:
    """Searches for the least time over density ratio; ``log_ratio`` takes candidates [N, n] and gives [N].

    ``log_max`` bounds the log ratios.
    """
    best, number, time = math.inf, 0, 0.0
    for block in row.blocks():
        times = time + np.cumsum(block.gaps)
        scores = np.log(times) - log_ratio(block.candidates)
        # Whatever comes once log t - log w_max has reached the best is later than it.
        before = np.minimum.accumulate(np.concatenate([[best], scores[:-1]]))
        over = np.log(times) - log_max >= before
        size = int(over.argmax()) if over.any() else len(times)
        looked_at = min(size, max_draws - block.begin)
        if looked_at:
            winner = int(scores[:looked_at].argmin())
            if scores[winner] < best:
                best, number = float(scores[winner]), block.begin + winner + 1
        if looked_at < len(times):
            return Arrival(max(number, 1), block.begin + looked_at, certain=looked_at == size)
        time = float(times[-1])
    raise AssertionError("blocks do not end")
