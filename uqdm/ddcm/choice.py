"""Which codewords make up the noise of a step: their choice by an encoder, their bits, and the noise that they make.

Both methods choose words that point from the estimate x_hat to the image:

- Matching pursuit (DDCM; Ohayon et al. 2025): the word of the largest inner product, and then one word
  after the other, each with the weight that brings the normalized sum nearest to the image.
- Thresholding (Turbo-DDCM; Vaisman et al. 2025): the M words of the largest absolute inner products at once, each with
  its sign. Random words are nearly orthogonal, so this is close to the best choice of M words.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uqdm.channel.prefix_code import BitReader, fixed_bits
from uqdm.coding.combinations import members_of, rank
from uqdm.ddcm.codebook import Codebook


@dataclass(frozen=True)
class Choice:
    """The words of a step and tile, by their numbers, with a whole number for each word's coefficient."""

    numbers: tuple[int, ...]
    coefficients: tuple[int, ...]


class Method(ABC):
    """A way to choose ``vectors`` of ``n_words`` words; ``n_words`` is a power of two."""

    n_words: int
    vectors: int

    @property
    @abstractmethod
    def n_choices(self) -> int:
        """Number of choices that have different bits."""

    @functools.cached_property
    def n_bits(self) -> int:
        """Bits of a choice."""
        return (self.n_choices - 1).bit_length()

    @property
    def ideal_bits(self) -> float:
        """log2 of the number of choices."""
        return math.log2(self.n_choices)

    @abstractmethod
    def choose(self, codebook: Codebook, residuals: Sequence[np.ndarray]) -> list[list[Choice]]:
        """Chooses for each image and tile; ``residuals`` [tiles, D] of each image lead from x_hat to the image."""

    @abstractmethod
    def noise(self, choice: Choice, codebook: Codebook, tile: int) -> np.ndarray:
        """The noise of a tile, float64 [D], of unit variance."""

    @abstractmethod
    def write(self, choice: Choice) -> str:
        """The bits of a choice."""

    @abstractmethod
    def read(self, reader: BitReader) -> Choice:
        """The reverse of :meth:`write`; ValueError for bits that it does not write."""


@dataclass(frozen=True)
class Threshold(Method):
    """The words of the largest absolute inner products, with signs; the subset is coded by its rank.

    >>> method = Threshold(n_words=4096, vectors=5)
    >>> method.n_bits, round(method.ideal_bits, 2)
    (59, 58.09)
    >>> choice = Choice((3, 17, 400, 401, 4095), (1, 0, 0, 1, 1))
    >>> method.read(BitReader(method.write(choice))) == choice
    True
    """

    n_words: int
    vectors: int

    @property
    def n_choices(self) -> int:
        """Subsets times signs."""
        return math.comb(self.n_words, self.vectors) << self.vectors

    def choose(self, codebook: Codebook, residuals: Sequence[np.ndarray]) -> list[list[Choice]]:
        """See :meth:`Method.choose`; of equal inner products the first ones win."""
        return [[self._of(row) for row in rows] for rows in codebook.products(residuals)]

    def _of(self, products: np.ndarray) -> Choice:
        found = np.sort(np.argsort(-np.abs(products), kind="stable")[: self.vectors])
        return Choice(tuple(found.tolist()), tuple((products[found] >= 0).astype(int).tolist()))

    def noise(self, choice: Choice, codebook: Codebook, tile: int) -> np.ndarray:
        """The sum of the words with their signs, divided by its deviation from 0."""
        total = np.zeros(codebook.size)
        for number, sign in zip(choice.numbers, choice.coefficients, strict=True):
            total += (2 * sign - 1) * codebook.word(number, tile)
        return _unit(total)

    def write(self, choice: Choice) -> str:
        """The rank of the subset, then the signs, as one number."""
        signs = sum(sign << place for place, sign in enumerate(choice.coefficients))
        return fixed_bits(rank(choice.numbers) << self.vectors | signs, self.n_bits)

    def read(self, reader: BitReader) -> Choice:
        """See :meth:`Method.read`."""
        number = reader.take(self.n_bits)
        members = members_of(number >> self.vectors, self.n_words, self.vectors)
        return Choice(tuple(members), tuple(number >> place & 1 for place in range(self.vectors)))


@dataclass(frozen=True)
class Pursuit(Method):
    """Greedy matching pursuit: each word after the first has a weight of ``coefficient_bits`` bits.

    With weight w, the noise e becomes sqrt(1 - w) e + sqrt(w) word, normalized; w is a multiple of
    2^-coefficient_bits, and 0 if no word improves the noise.

    >>> Pursuit(n_words=4096, vectors=1, coefficient_bits=3).n_bits
    12
    >>> Pursuit(n_words=4096, vectors=3, coefficient_bits=3).n_bits
    42
    """

    n_words: int
    vectors: int
    coefficient_bits: int

    @property
    def n_choices(self) -> int:
        """Words, and a weight for each but the first."""
        return self.n_words**self.vectors << self.coefficient_bits * (self.vectors - 1)

    def choose(self, codebook: Codebook, residuals: Sequence[np.ndarray]) -> list[list[Choice]]:
        """See :meth:`Method.choose`."""
        products = codebook.products(residuals)
        found = [[Choice((int(row.argmax()),), (0,)) for row in rows] for rows in products]
        norms = codebook.norms() if self.vectors > 1 else None
        for _ in range(self.vectors - 1):
            assert norms is not None
            noises = [self._noises(choices, codebook) for choices in found]
            overlaps = codebook.products(noises)
            for image, choices in enumerate(found):
                for tile, choice in enumerate(choices):
                    along = float(noises[image][tile] @ residuals[image][tile])
                    more = self._next(products[image][tile], overlaps[image][tile], norms, along, codebook.size)
                    choices[tile] = Choice((*choice.numbers, more[0]), (*choice.coefficients, more[1]))
        return found

    def _noises(self, choices: Sequence[Choice], codebook: Codebook) -> np.ndarray:
        return np.stack([self.noise(choice, codebook, tile) for tile, choice in enumerate(choices)])

    def _next(
        self, products: np.ndarray, overlaps: np.ndarray, norms: np.ndarray, along: float, size: int
    ) -> tuple[int, int]:
        """Number and coefficient of the next word; 0 and 0 if none is nearer to the residual than the noise so far.

        ``products`` are those of the words with the residual, ``overlaps`` with the noise so far, whose own product
        with the residual is ``along``, and whose norm is the square root of ``size``.
        """
        best, best_along = (0, 0), along
        for coefficient in range(1, 1 << self.coefficient_bits):
            weight = coefficient / (1 << self.coefficient_bits)
            old, new = math.sqrt(1 - weight), math.sqrt(weight)
            square = old**2 * size + (new * norms) ** 2 + 2 * old * new * overlaps.astype(np.float64)
            reached = (old * along + new * products.astype(np.float64)) * np.sqrt(size / square)
            number = int(reached.argmax())
            if reached[number] > best_along:
                best, best_along = (number, coefficient), float(reached[number])
        return best

    def noise(self, choice: Choice, codebook: Codebook, tile: int) -> np.ndarray:
        """The only word as it is, or the weighted sums of the first with those after it, each normalized."""
        found = codebook.word(choice.numbers[0], tile)
        if self.vectors == 1:
            return found
        found = _unit(found)
        for number, coefficient in zip(choice.numbers[1:], choice.coefficients[1:], strict=True):
            weight = coefficient / (1 << self.coefficient_bits)
            found = _unit(math.sqrt(1 - weight) * found + math.sqrt(weight) * codebook.word(number, tile))
        return found

    def write(self, choice: Choice) -> str:
        """The first word's number, then number and coefficient of each word."""
        word_bits = self.n_words.bit_length() - 1
        first, *others = zip(choice.numbers, choice.coefficients, strict=True)
        pairs = [fixed_bits(number, word_bits) + fixed_bits(weight, self.coefficient_bits) for number, weight in others]
        return fixed_bits(first[0], word_bits) + "".join(pairs)

    def read(self, reader: BitReader) -> Choice:
        """See :meth:`Method.read`."""
        word_bits = self.n_words.bit_length() - 1
        numbers, coefficients = [reader.take(word_bits)], [0]
        for _ in range(self.vectors - 1):
            numbers.append(reader.take(word_bits))
            coefficients.append(reader.take(self.coefficient_bits))
        return Choice(tuple(numbers), tuple(coefficients))


def _unit(vector: np.ndarray) -> np.ndarray:
    """Scaled to a mean square of 1; zeros stay zeros."""
    square = float((vector**2).mean())
    return vector / math.sqrt(square) if square else vector
