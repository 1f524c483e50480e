"""Candidates and times that encoder and decoder share, drawn in blocks with random access.

The generator is counter-based (Philox), so that a block is generated without those before it. Normal deviates are
NumPy's: a message decodes only with a NumPy version that draws the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_FIRST_ROWS, _MAX_NUMBERS = 256, 1 << 17  # block sizes grow from one to the other, which fits a processor's cache


@dataclass(frozen=True)
class Block:
    """Candidates of p = N(0, I), float64 [rows, n], with exponential gaps [rows], after ``begin`` others."""

    begin: int
    candidates: np.ndarray
    gaps: np.ndarray


class Candidates:
    """The endless sequence of candidates of a message.

    >>> row = Candidates(seed=1, n=2)
    >>> block = next(row.blocks())
    >>> bool((row.at(7) == block.candidates[7]).all())
    True
    """

    def __init__(self, seed: int, n: int):
        self._n = n
        self._generator = _generator(_checked_seed(seed), 0, 0)
        self._state: dict[str, Any] = self._generator.bit_generator.state  # type: ignore[assignment]
        self._max_rows = _max_rows(n)

    def blocks(self) -> Iterator[Block]:
        """All blocks in sequence."""
        begin, number = 0, 0
        while True:
            yield self._block(number, begin)
            begin, number = begin + self._rows(number), number + 1

    def at(self, index: int) -> np.ndarray:
        """The candidate of an index, from 0: float64 [n]."""
        number, begin = _place(index, self._max_rows)
        generator = self._at(number)
        generator.standard_exponential(self._rows(number))  # the block's gaps come before its candidates
        return generator.standard_normal((index - begin + 1, self._n))[-1].copy()

    def _rows(self, number: int) -> int:
        return _rows(number, self._max_rows)

    def _at(self, number: int) -> np.random.Generator:
        """The generator at the start of a block; setting its counter is cheaper than creating a generator."""
        self._state["state"]["counter"][2] = number
        self._generator.bit_generator.state = self._state
        return self._generator

    def _block(self, number: int, begin: int) -> Block:
        generator = self._at(number)
        gaps = generator.standard_exponential(self._rows(number))
        return Block(begin, generator.standard_normal((self._rows(number), self._n)), gaps)


def numbers_drawn(index: int, n: int) -> int:
    """How many random numbers :meth:`Candidates.at` draws for a candidate of n dimensions.

    The bound is the size of a block, for any index.
    """
    number, begin = _place(index, _max_rows(n))
    return _rows(number, _max_rows(n)) + (index - begin + 1) * n


def _max_rows(n: int) -> int:
    return max(_FIRST_ROWS, _MAX_NUMBERS // n)


def _rows(number: int, most: int) -> int:
    """Number of candidates in a block."""
    return min(_FIRST_ROWS << min(number, 30), most)


def _place(index: int, most: int) -> tuple[int, int]:
    """The number of the block that has a candidate, and how many candidates come before the block, in closed form.

    Block sizes double until the next would exceed the maximum, and then stay at the maximum.
    """
    growing = (-(-most // _FIRST_ROWS) - 1).bit_length()
    grown = _FIRST_ROWS * ((1 << growing) - 1)
    if index >= grown:
        more = (index - grown) // most
        return growing + more, grown + more * most
    number = (index // _FIRST_ROWS + 1).bit_length() - 1
    return number, _FIRST_ROWS * ((1 << number) - 1)


def uniforms(seed: int, count: int) -> np.ndarray:
    """Shared uniforms of a message in [0, 1), float64 [count]; a smaller count returns a prefix of a larger one."""
    return _generator(_checked_seed(seed), 1, 0).random(count)


def normals(seed: int, count: int) -> np.ndarray:
    """Shared normal deviates of a message, float64 [count]."""
    return _generator(_checked_seed(seed), 3, 0).standard_normal(count)


def private(seed: int) -> np.random.Generator:
    """The encoder's own randomness, which decoders do not use; from the same seed, so that runs are reproducible."""
    return _generator(_checked_seed(seed), 2, 0)


def _generator(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=[0, 0, number, 0]))


def _checked_seed(seed: int) -> int:
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed {seed}: must be in 0..2^64-1")
    return seed
