"""A message of several symbols as the shortest binary fraction inside its interval (Shannon-Fano-Elias), exactly.

An arithmetic code without its approximations, which are of no use for messages of few symbols: 1 to 2 bits more than
-log2 of the message's probability, and no message begins another.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence

TOTAL_BITS = 32
_TOTAL = 1 << TOTAL_BITS


def cumulative(masses: Sequence[float]) -> list[int]:
    """Bounds of the symbols' shares in 0..2^32, each at least 1; ``masses`` need not sum to 1.

    >>> cumulative([3.0, 1.0]) == [0, 3 << 30, 1 << 32]
    True
    """
    room, total = _TOTAL - len(masses), sum(masses)
    shares = [1 + int(mass / total * room) for mass in masses]
    shares[max(range(len(masses)), key=masses.__getitem__)] += _TOTAL - sum(shares)
    return [0, *itertools.accumulate(shares)]


def encode(symbols: Sequence[int], bounds: Sequence[Sequence[int]]) -> str:
    """The bits of symbols, each with the bounds of its own alphabet.

    >>> halves = cumulative([0.5, 0.5])
    >>> encode([1, 0, 1], [halves] * 3)
    '101'
    """
    low, width, scale = 0, 1, 0
    for symbol, shares in zip(symbols, bounds, strict=True):
        low = (low << TOTAL_BITS) + width * shares[symbol]
        width *= shares[symbol + 1] - shares[symbol]
        scale += TOTAL_BITS
    count = max(0, scale - width.bit_length())
    while True:
        step = scale - count
        fraction = -(-low >> step)  # the first one that is not below the interval
        if (fraction + 1) << step <= low + width:
            return format(fraction, f"0{count}b") if count else ""
        count += 1


def decode(bits: str, bounds: Sequence[Sequence[int]]) -> list[int]:
    """The symbols; ValueError for bits that :func:`encode` does not write."""
    value, count = int(bits, 2) if bits else 0, len(bits)
    low, width, scale, symbols = 0, 1, 0, []
    for shares in bounds:
        scale += TOTAL_BITS
        point = value << (scale - count) if scale >= count else value >> (count - scale)
        low <<= TOTAL_BITS
        symbol = bisect.bisect_right(shares, (point - low) // width) - 1
        if not 0 <= symbol < len(shares) - 1:
            break
        symbols.append(symbol)
        low, width = low + width * shares[symbol], width * (shares[symbol + 1] - shares[symbol])
    if len(symbols) != len(bounds) or encode(symbols, bounds) != bits:
        raise ValueError(f"{count} bits are no message of {len(bounds)} symbols")
    return symbols
