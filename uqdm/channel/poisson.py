"""The Poisson functional representation (Li & El Gamal 2018), with q truncated so that the search ends.

Candidates of p arrive at the times t of a Poisson process; the one with the least t p / q is an exact sample of q.
Gaussians of equal variance have an unbounded density ratio: no finite search could be certain of the minimum. With the
truncation of :mod:`uqdm.channel.gaussian` (3.2e-5 of q's mass) the search examines w_max candidates on average.
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
    """The candidate with the least arrival time divided by the density ratio.

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
    """The best candidate of a search."""

    number: int
    """Index of the candidate, from 1."""
    draws: int
    """Candidates examined."""
    certain: bool
    """Whether no later candidate can be better; False where the cap ended the search."""


def first_arrival(
    row: Candidates, log_ratio: Callable[[np.ndarray], np.ndarray], log_max: float, max_draws: int
) -> Arrival:
    """Searches for the least time over density ratio, among at most ``max_draws`` candidates.

    ``log_ratio`` takes candidates [N, n] and returns their log density ratios [N], of which ``log_max`` is a bound.
    """
    best, number, time = math.inf, 0, 0.0
    for block in row.blocks():
        times = time + np.cumsum(block.gaps)
        scores = np.log(times) - log_ratio(block.candidates)
        # Once log t - log w_max reaches the best score, every later candidate has a greater one.
        before = np.minimum.accumulate(np.concatenate([[best], scores[:-1]]))
        over = np.log(times) - log_max >= before
        size = int(over.argmax()) if over.any() else len(times)
        examined = min(size, max_draws - block.begin)
        if examined:
            winner = int(scores[:examined].argmin())
            if scores[winner] < best:
                best, number = float(scores[winner]), block.begin + winner + 1
        if examined < len(times):
            return Arrival(max(number, 1), block.begin + examined, certain=examined == size)
        time = float(times[-1])
    raise AssertionError("the sequence of blocks is endless")
