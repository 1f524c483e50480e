"""The coordinates of a step in chunks, each a message of the Poisson functional representation.

The length of a search is exponential in the divergence, which is therefore divided among chunks of few bits: blocks of
coordinates are halved until no part has more than ``chunk_bits``. A search ends after 2^(chunk_bits + margin_bits)
candidates at the latest, with the best so far; the sample is then uncertain, and may be biased towards p.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uqdm.channel.index_code import ZipfCode, zipf_code
from uqdm.channel.poisson import first_arrival
from uqdm.channel.prefix_code import BitReader, fixed_bits
from uqdm.channel.randomness import Candidates, numbers_drawn

BLOCK = 256
"""Coordinates of a block."""
MAX_DEPTH = 8  # a block of 256 can be halved down to single coordinates
_DEPTH_BITS = 4
_MEAN_BITS = 8
_MEAN_STEPS = 8  # of a bit
REACH = 4.0
"""Searches assume log ratios of at most their mean under q plus this many deviations."""


@dataclass(frozen=True)
class Channel:
    """q = N(mean, deviation^2), in units in which the receiver's p is N(0, 1); float64 [D] each."""

    mean: np.ndarray
    deviation: np.ndarray

    @property
    def kl_bits(self) -> np.ndarray:
        """KL(q || p) of each coordinate."""
        nats = 0.5 * (self.mean**2 + self.deviation**2 - 1) - np.log(self.deviation)
        return nats / math.log(2)

    def part(self, begin: int, end: int) -> Channel:
        """The coordinates from ``begin`` up to ``end``."""
        return Channel(self.mean[begin:end], self.deviation[begin:end])

    def log_ratio(self, candidates: np.ndarray) -> np.ndarray:
        """log q / p of candidates [N, D], float64 [N]."""
        narrow = self.deviation**-2
        square, linear = 0.5 * (1 - narrow), self.mean * narrow
        constant = -float(np.log(self.deviation).sum() + 0.5 * (self.mean**2 * narrow).sum())
        found = candidates @ linear + constant
        return np.asarray(found + candidates**2 @ square if square.any() else found)

    @property
    def log_max_ratio(self) -> float:
        """Mean of log q / p under q plus 4 deviations of it: the bound that searches assume, a truncation of q."""
        mean = float(self.kl_bits.sum()) * math.log(2)
        variance = (self.mean * self.deviation) ** 2 + 0.5 * (1 - self.deviation**2) ** 2
        return mean + REACH * math.sqrt(float(variance.sum()))


@dataclass(frozen=True)
class Limits:
    """Limits of chunks and searches, which encoder and decoder share."""

    chunk_bits: int = 4
    margin_bits: int = 8

    def __post_init__(self) -> None:
        if not (1 <= self.chunk_bits <= 16 and 1 <= self.margin_bits <= 15):
            raise ValueError(
                f"chunk_bits={self.chunk_bits}, margin_bits={self.margin_bits}: must be in 1..16 and 1..15"
            )

    @property
    def max_draws(self) -> int:
        """Maximum number of candidates of a search."""
        return 1 << (self.chunk_bits + self.margin_bits)


@dataclass
class Tally:
    """Counts of the work of searches, for benchmarks."""

    chunks: int = 0
    uncertain: int = 0
    """Chunks whose search ended at its cap."""
    draws: int = 0
    numbers: int = 0
    """Normal deviates of all candidates."""
    decoded_numbers: int = 0
    """Random numbers that a decoder will draw."""


@dataclass(frozen=True)
class Step:
    """The content of a step: the chunks' bounds, and the index of each chunk's candidate, from 1."""

    bounds: list[tuple[int, int]]
    numbers: list[int]


def send(channel: Channel, limits: Limits, seed: int, tally: Tally) -> tuple[str, np.ndarray]:
    """Sends a sample of each coordinate; returns the bits and the samples, float64 [D] in units of p's deviation."""
    kl_bits = channel.kl_bits
    trees = [_split(kl_bits, begin, end, limits.chunk_bits, 0) for begin, end in _blocks(kl_bits.size)]
    leaves = [leaf for tree in trees for leaf in tree]
    least = min(leaf.depth for leaf in leaves)
    mean = _mean_code(float(kl_bits.sum()) / len(leaves))
    code = _code(mean, limits)
    samples, parts = np.empty(kl_bits.size), [fixed_bits(least, _DEPTH_BITS), fixed_bits(mean, _MEAN_BITS)]
    for tree in trees:
        parts.append(_tree_bits(tree, least))
        for leaf in tree:
            row = Candidates(seed + leaf.begin, leaf.end - leaf.begin)
            part = channel.part(leaf.begin, leaf.end)
            found = first_arrival(row, part.log_ratio, part.log_max_ratio, limits.max_draws)
            samples[leaf.begin : leaf.end] = row.at(found.number - 1)
            parts.append(code.encode(found.number))
            tally.chunks += 1
            tally.uncertain += not found.certain
            tally.draws += found.draws
            tally.numbers += found.draws * (leaf.end - leaf.begin)
            tally.decoded_numbers += numbers_drawn(found.number - 1, leaf.end - leaf.begin)
    return "".join(parts), samples


def read(reader: BitReader, size: int, limits: Limits) -> Step:
    """Reads a step of ``size`` coordinates; ValueError for bits that :func:`send` does not write."""
    least = reader.take(_DEPTH_BITS)
    if least > MAX_DEPTH:
        raise ValueError(f"coordinates are halved at most {MAX_DEPTH} times, not {least}")
    code = _code(reader.take(_MEAN_BITS), limits)
    bounds, numbers = [], []
    for begin, end in _blocks(size):
        tree = list(_read_tree(reader, begin, end, 0, least))
        bounds += tree
        numbers += [code.read(reader) for _ in tree]
    return Step(bounds, numbers)


def samples(step: Step, seed: int) -> np.ndarray:
    """The samples of a step, float64 [D] in units of p's deviation."""
    pairs = zip(step.bounds, step.numbers, strict=True)
    return np.concatenate([Candidates(seed + begin, end - begin).at(number - 1) for (begin, end), number in pairs])


def numbers_of(step: Step) -> int:
    """Number of random numbers that :func:`samples` draws for a step."""
    pairs = zip(step.bounds, step.numbers, strict=True)
    return sum(numbers_drawn(number - 1, end - begin) for (begin, end), number in pairs)


def _code(mean: int, limits: Limits) -> ZipfCode:
    return zipf_code(mean / _MEAN_STEPS, limits.max_draws)


def _mean_code(kl_bits: float) -> int:
    return min((1 << _MEAN_BITS) - 1, round(kl_bits * _MEAN_STEPS))


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, size, BLOCK):
        yield begin, min(begin + BLOCK, size)


@dataclass(frozen=True)
class _Leaf:
    begin: int
    end: int
    depth: int


def _split(kl_bits: np.ndarray, begin: int, end: int, most: float, depth: int) -> list[_Leaf]:
    if end - begin == 1 or kl_bits[begin:end].sum() <= most:
        return [_Leaf(begin, end, depth)]
    middle = (begin + end) // 2
    return _split(kl_bits, begin, middle, most, depth + 1) + _split(kl_bits, middle, end, most, depth + 1)


def _tree_bits(leaves: list[_Leaf], least: int) -> str:
    """A bit for each part from depth ``least`` on: 1 if it is halved; none for single coordinates."""
    ends = {(leaf.begin, leaf.end) for leaf in leaves}
    bits: list[str] = []

    def visit(begin: int, end: int, depth: int) -> None:
        halved = (begin, end) not in ends
        if depth >= least and end - begin > 1:
            bits.append("1" if halved else "0")
        if halved:
            visit(begin, (begin + end) // 2, depth + 1)
            visit((begin + end) // 2, end, depth + 1)

    visit(leaves[0].begin, leaves[-1].end, 0)
    return "".join(bits)


def _read_tree(reader: BitReader, begin: int, end: int, depth: int, least: int) -> Iterator[tuple[int, int]]:
    halved = end - begin > 1 and (depth < least or bool(reader.take(1)))
    if not halved:
        yield begin, end
        return
    middle = (begin + end) // 2
    yield from _read_tree(reader, begin, middle, depth + 1, least)
    yield from _read_tree(reader, middle, end, depth + 1, least)
