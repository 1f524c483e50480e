"""Codes of whole bits: fixed lengths, Elias gamma, canonical Huffman codes of small alphabets; and reading bits.

constriction has Huffman codes, but no Elias codes or plain bits, and its queue does not tell how many bits were read,
which a file of several codes needs: hence the strings of bits and their reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import constriction
import numpy as np


class EndOfBitsError(ValueError):
    """A message ends early."""


class BitReader:
    """Reads a string of "0" and "1" from its start; :class:`EndOfBitsError` where it ends early.

    ValueError for a string of other characters.
    """

    def __init__(self, bits: str):
        if bits.strip("01"):
            raise ValueError('a message consists of bits, "0" and "1"')
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
        """Raises ValueError unless all bits have been read."""
        if self.position != len(self._bits):
            raise ValueError(f"{len(self._bits) - self.position} bits follow the message")


def fixed_bits(value: int, count: int) -> str:
    """A number as ``count`` bits; nothing for a count of 0.

    >>> fixed_bits(5, 4), fixed_bits(0, 0)
    ('0101', '')
    """
    return format(value, f"0{count}b") if count else ""


def gamma_bits(value: int) -> str:
    """Elias gamma code of a positive number.

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
    """The canonical Huffman code of symbols 0, 1, ... with these positive frequencies.

    constriction builds the Huffman tree. Only the lengths of its code words are used: words are assigned in the order
    of length and symbol (as in DEFLATE, RFC 1951), so that stored files do not depend on the layout of the tree.

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

    def read(self, reader: BitReader) -> int:
        """The next symbol; a code of one symbol takes no bits."""
        word = ""
        while word not in self._symbols:
            word += str(reader.take(1))  # ends: a Huffman code is complete, so every long string starts with a word
        return self._symbols[word]


def _lengths(frequencies: Sequence[int]) -> list[int]:
    """Bits of each symbol's code word in constriction's Huffman tree."""
    tree = constriction.symbol.huffman.EncoderHuffmanTree(np.array(frequencies, np.float64))
    return [_length(symbol, tree) for symbol in range(len(frequencies))]


def _length(symbol: int, tree: Any) -> int:
    encoder = constriction.symbol.QueueEncoder()
    encoder.encode_symbol(symbol, tree)
    _, n_bits = encoder.get_compressed_and_bitrate()
    return int(n_bits)


def _canonical(lengths: list[int]) -> list[str]:
    words = [""] * len(lengths)
    value = 0
    last = 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths)):
        value <<= length - last
        words[symbol] = fixed_bits(value, length)
        value += 1
        last = length
    return words
