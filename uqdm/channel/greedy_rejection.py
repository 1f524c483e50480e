"""Greedy rejection coding in one dimension (Harsha et al. 2010; Flamich et al. 2022, 2023).

A candidate is accepted with a probability in proportion to the mass of q that earlier candidates have not covered
there. The plain form examines candidates of p one after another and sends the accepted one's index. The index takes
KL + O(log KL) bits, but its mean is w_max. The split form (GRCS) cuts the line at each rejected candidate and continues
in one of the two parts, so that the number of candidates grows only in proportion to log w_max. It needs one dimension.

q is truncated as in :mod:`uqdm.channel.gaussian`, as for the Poisson functional representation.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from uqdm.channel.contract import MAX_DRAWS, Sent, Simulator
from uqdm.channel.gaussian import LOST_MASS, REACH
from uqdm.channel.index_code import zipf_code
from uqdm.channel.prefix_code import BitReader
from uqdm.channel.randomness import Candidates, private, uniforms
from uqdm.compiled import njit

MAX_TABLE = 1 << 22
"""Cap on the candidates of the plain form: two tables of this size are cached for the last mean."""
MAX_DEPTH = 60
"""Cap on the candidates of the split form; the path of the cuts is sent as a number of up to as many bits."""


class GreedyRejection(Simulator):
    """Candidates of p in sequence, accepted where q has mass left (GRCG; Flamich et al. 2023).

    >>> coder = GreedyRejection(kl_bits=2.0)
    >>> sent = coder.encode(np.array([1.6651]), seed=3)
    >>> bool((coder.decode(sent.bits, seed=3) == sent.sample).all())
    True
    """

    name = "greedy rejection"
    source = "Harsha et al. 2010; Flamich et al. 2023"

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS):
        _check_dimension(n)
        super().__init__(kl_bits, n, max_draws=min(max_draws, MAX_TABLE))

    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """See :meth:`uqdm.channel.contract.Simulator.encode`."""
        mean = float(self._checked(mu)[0])
        number = self._search(mean, Candidates(seed, 1), private(seed))
        if number == 0:
            return Sent(None, "", self.max_draws)
        code = zipf_code(self.kl_bits, self.max_draws)
        sample = Candidates(seed, 1).at(number - 1)
        return Sent(sample, code.encode(number), number, ideal_bits=code.ideal_bits(number))

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        reader = BitReader(bits)
        number = zipf_code(self.kl_bits, self.max_draws).read(reader)
        reader.finish()
        return Candidates(seed, 1).at(number - 1)

    def _search(self, mean: float, row: Candidates, own: np.random.Generator) -> int:
        """Index of the accepted candidate, from 1; 0 if the search reaches the cap."""
        for block in row.blocks():
            size = min(len(block.gaps), self.max_draws - block.begin)
            if size <= 0:
                return 0
            levels, left = _levels(abs(mean), block.begin + size)
            here = slice(block.begin, block.begin + size)
            ratios = _ratio(block.candidates[:size, 0] * math.copysign(1, mean), abs(mean))
            accepted = own.random(size) * left[here] < ratios - levels[here]
            if accepted.any():
                return block.begin + int(accepted.argmax()) + 1
        raise AssertionError("the sequence of blocks is endless")


class SplitGreedyRejection(Simulator):
    """The line is cut at each rejected candidate; the next candidate comes from one part (GRCS; Flamich et al. 2023).

    >>> coder = SplitGreedyRejection(kl_bits=2.0)
    >>> sent = coder.encode(np.array([1.6651]), seed=3)
    >>> bool((coder.decode(sent.bits, seed=3) == sent.sample).all())
    True
    """

    name = "greedy rejection, split"
    source = "Flamich et al. 2023"

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS):
        _check_dimension(n)
        super().__init__(kl_bits, n, max_draws=max_draws)
        self._max_depth = min(MAX_DEPTH, max_draws)

    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """See :meth:`uqdm.channel.contract.Simulator.encode`."""
        mean = float(self._checked(mu)[0])
        target = _Target(mean)
        part = _Part(-math.inf, math.inf)
        path = 1
        level = 0.0
        places, own = uniforms(seed, self._max_depth), private(seed)
        for depth in range(self._max_depth):
            where = part.at(places[depth])
            rise = target.left(part, level) / part.mass
            if own.random() * rise <= target.ratio(where) - level:
                code = zipf_code(self.kl_bits, (1 << self._max_depth) - 1)
                return Sent(np.array([where]), code.encode(path), depth + 1, code.ideal_bits(path))
            level += rise
            parts = part.cut(where)
            masses = [target.left(one, level) for one in parts]
            turn = int(own.random() * sum(masses) >= masses[0])
            part, path = parts[turn], 2 * path + turn
        return Sent(None, "", self._max_depth)

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        reader = BitReader(bits)
        path = zipf_code(self.kl_bits, (1 << self._max_depth) - 1).read(reader)
        reader.finish()
        part, places = _Part(-math.inf, math.inf), uniforms(seed, self._max_depth)
        turns = format(path, "b")[1:]
        for place, turn in zip(places, turns, strict=False):
            part = part.cut(part.at(place))[int(turn)]
        return np.array([part.at(places[len(turns)])])


def _check_dimension(n: int) -> None:
    if n != 1:
        raise ValueError(f"n={n}: greedy rejection coding is for one dimension")


@dataclass(frozen=True)
class _Part:
    """An interval of the line."""

    low: float
    high: float

    @property
    def mass(self) -> float:
        """p's mass in the interval."""
        return _normal_mass(self.low, self.high)

    def at(self, place: float) -> float:
        """The quantile of p restricted to the interval."""
        if self.low > 0:  # in the right tail the distribution function is too close to 1
            return -_Part(-self.high, -self.low).at(1 - place)
        first, last = float(ndtr(self.low)), float(ndtr(self.high))
        return min(max(float(ndtri(first + place * (last - first))), self.low), self.high)

    def cut(self, where: float) -> tuple[_Part, _Part]:
        return _Part(self.low, where), _Part(where, self.high)


@dataclass(frozen=True)
class _Target:
    """q = N(mean, 1), truncated, relative to p = N(0, 1)."""

    mean: float

    def ratio(self, x: float) -> float:
        """q / p."""
        return float(_ratio(np.array([x * math.copysign(1, self.mean)]), abs(self.mean))[0])

    def left(self, part: _Part, level: float) -> float:
        """The mass of q above ``level`` times p in an interval."""
        low, high = (part.low, part.high) if self.mean >= 0 else (-part.high, -part.low)
        mean = abs(self.mean)
        low = max(low, _crossing(mean, level))
        high = min(high, mean + REACH)
        if low >= high:
            return 0.0
        return max(0.0, _normal_mass(low - mean, high - mean) / (1 - LOST_MASS) - level * _normal_mass(low, high))


def _normal_mass(low: float, high: float) -> float:
    """Mass of N(0, 1) between two points, accurate in both tails."""
    return float(ndtr(-low) - ndtr(-high)) if low > 0 else float(ndtr(high) - ndtr(low))


def _crossing(mean: float, level: float) -> float:
    """The x at which q / p, which increases with x, reaches ``level``."""
    if level <= 0:
        return -math.inf
    if mean == 0:
        return -math.inf if level * (1 - LOST_MASS) < 1 else math.inf
    return (math.log(level) + math.log1p(-LOST_MASS) + 0.5 * mean**2) / mean


def _ratio(x: np.ndarray, mean: float) -> np.ndarray:
    """q / p at x [N] for a mean that is not negative."""
    return np.where(x <= mean + REACH, np.exp(x * mean - 0.5 * mean**2) / (1 - LOST_MASS), 0.0)


@functools.lru_cache(maxsize=1)
def _growing(mean: float) -> list[np.ndarray]:
    """Levels and masses of a mean; :func:`_levels` extends the arrays in place."""
    return [np.zeros(1), np.ones(1)]


def _levels(mean: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For the first ``count`` candidates, float64 [>= count]: the multiple of p covered before, and q's mass left."""
    kept = _growing(mean)
    while len(kept[0]) < count:
        more = _extend(mean, REACH, LOST_MASS, kept[0][-1], kept[1][-1], max(256, len(kept[0])))
        kept[:] = [np.concatenate(pair) for pair in zip(kept, more, strict=True)]
    return kept[0], kept[1]


@njit(cache=True)
def _extend(mean, reach, lost, level, left, count):  # type: ignore[no-untyped-def]
    # A recurrence of millions of steps at large divergences, which cannot be vectorised.
    levels, lefts = np.empty(count), np.empty(count)
    root = math.sqrt(0.5)
    end, end_q = 0.5 * math.erfc((mean + reach) * root), 0.5 * math.erfc(reach * root)
    for i in range(count):
        level += left
        if mean > 0:
            at = (math.log(level * (1 - lost)) + 0.5 * mean * mean) / mean
        else:
            at = -math.inf if level * (1 - lost) < 1 else math.inf
        p_above = 0.5 * math.erfc(at * root) - end
        q_above = (0.5 * math.erfc((at - mean) * root) - end_q) / (1 - lost)
        left = max(0.0, q_above - level * p_above) if at < mean + reach else 0.0
        levels[i], lefts[i] = level, left
    return levels, lefts
