"""Whole bits: canonical Huffman codes of small alphabets, and reading bits."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


class EndOfBitsError(ValueError):
    """A message ends before what it should hold."""


class BitReader:
    """Reads a string of "0" and "1" from its beginning; :class:`EndOfBitsError` where it ends early."""

    def __init__(self, bits: str):
        self._bits = bits
        self.position = 0

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number, the high ones first."""
        part = self._bits[self.position : self.position + count]
        if len(part) < count:
            raise EndOfBitsError(f"the message ends after {len(self._bits)} bits")
        self.position += count
        return int(part, 2) if count else 0

    def finish(self) -> None:
        """Raises ValueError unless all bits were read."""
        if self.position != len(self._bits):
            raise ValueError(f"{len(self._bits) - self.position} bits are left over")


def fixed_bits(value: int, count: int) -> str:
    """A number as ``count`` bits; nothing for a count of 0.

    >>> fixed_bits(5, 4), fixed_bits(0, 0)
    ('0101', '')
    """
    return format(value, f"0{count}b") if count else ""


def gamma_bits(value: int) -> str:
    """Elias gamma code of a number from 1 on.

    >>> gamma_bits(1), gamma_bits(5)
    ('1', '00101')
    """
    return "0" * (value.bit_length() - 1) + format(value, "b")


def read_gamma(reader: BitReader, most_bits: int) -> int:
    """Reads what :func:`gamma_bits` wrote; ValueError for numbers of more than ``most_bits`` bits."""
    zeros = 0
    while not reader.take(1):
        zeros += 1
        if zeros >= most_bits:
            raise ValueError(f"the message holds a number of more than {most_bits} bits")
    return 1 << zeros | reader.take(zeros)


class PrefixCode:
    """The Huffman code of symbols 0, 1, ... with these positive frequencies.

    >>> code = PrefixCode([4, 1, 2])
    >>> code.words
    ['0', '10', '11']
    >>> code.read(BitReader("11"))
    2
    """

    def __init__(self, frequencies: Sequence[int]):
        if not frequencies or min(frequencies) < 1:
            raise ValueError("a code needs symbols, and each a positive frequency")
        self.words = _canonical(_lengths(frequencies))
        self._symbols = {word: symbol for symbol, word in enumerate(self.words)}
        self._longest = max(map(len, self.words))

    def read(self, reader: BitReader) -> int:
        """The next symbol; a code of one symbol takes no bits."""
        word = ""
        while word not in self._symbols:
            word += str(reader.take(1))  # a Huffman code is complete: every long string begins with a word
        return self._symbols[word]


def _lengths(frequencies: Sequence[int]) -> list[int]:
    lengths = [0] * len(frequencies)
    # Equal frequencies are taken in the order of their first symbols, so that every machine builds the same tree.
    heap = [(frequency, symbol, [symbol]) for symbol, frequency in enumerate(frequencies)]
    heapq.heapify(heap)
    while len(heap) > 1:
        (one, first, left), (other, second, right) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left + right:
            lengths[symbol] += 1
        heapq.heappush(heap, (one + other, min(first, second), left + right))
    return lengths


def _canonical(lengths: list[int]) -> list[str]:
    words, value, last = [""] * len(lengths), 0, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
        value <<= length - last
        words[symbol], value, last = fixed_bits(value, length), value + 1, length
    return words
