"""Messages of several symbols by constriction's range coder, ended after the fewest bits.

constriction divides the interval and writes whole words of 32 bits, which suits long streams. Messages of few symbols
end here with the shortest binary fraction whose continuations all lie in the final interval. A message is at most
2 bits longer than -log2 of its probability by the model, and no message is a prefix of another.
"""

from __future__ import annotations

from typing import Any

import constriction
import numpy as np

from uqdm.channel.prefix_code import BitReader

_WORD_BITS = 32
_STATE_WORDS = 2
_STATE_RANGE = 1 << (_WORD_BITS * _STATE_WORDS)


def encode(symbols: np.ndarray, model: Any, *parameters: np.ndarray) -> str:
    """The bits of integer symbols [N], each within the model's alphabet.

    ``model`` is a family of :mod:`constriction.stream.model`, and ``parameters`` its parameters, float64 [N] each.

    >>> model = constriction.stream.model.QuantizedGaussian(-9, 9)
    >>> means, deviations = np.array([0.0, 2.0, -1.0]), np.array([0.1, 1.0, 1.0])
    >>> encode(np.array([0, 2, 0]), model, means, deviations)
    '10011'
    >>> decode('10011', model, means, deviations).tolist()
    [0, 2, 0]
    """
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.asarray(symbols, np.int32), model, *parameters)
    low, width, scale = _interval(encoder)
    return _shortest_fraction(low, width, scale)


def decode(bits: str, model: Any, *parameters: np.ndarray) -> np.ndarray:
    """The symbols, int32 [N]; ValueError for bits that :func:`encode` does not write."""
    try:
        decoder = constriction.stream.queue.RangeDecoder(_words(bits))
        symbols = decoder.decode(model, *parameters)
    except AssertionError:  # constriction's error for a point outside all symbols' intervals
        symbols = None
    if symbols is None or encode(symbols, model, *parameters) != bits:
        raise ValueError(f"{len(bits)} bits are not a message of {len(parameters[0])} symbols")
    return np.asarray(symbols)


def _interval(encoder: Any) -> tuple[int, int, int]:
    """Lower bound and width of the encoder's interval, in units of 2^-scale, and that scale.

    The encoder's state has the lower bound's last 64 bits. The bits before them are those of the point that
    constriction would end with, which lies in the interval; where a carry is pending, the subtraction resolves it.
    """
    words = encoder.get_compressed()
    position, (lower, width) = encoder.pos()
    n_words = position + _STATE_WORDS
    point = int.from_bytes(words.astype(">u4").tobytes(), "big") << (_WORD_BITS * (n_words - len(words)))
    return point - (point - lower) % _STATE_RANGE, width, _WORD_BITS * n_words


def _shortest_fraction(low: int, width: int, scale: int) -> str:
    """The fewest bits of which every continuation is a binary fraction in [low, low + width) / 2^scale."""
    count = scale - width.bit_length()
    while True:
        step = scale - count
        fraction = -(-low >> step)  # the least that is not below the interval
        if (fraction + 1) << step <= low + width:
            return format(fraction, f"0{count}b") if count else ""
        count += 1


def _words(bits: str) -> np.ndarray:
    """Bits as constriction's words, uint32 [ceil(len(bits) / 32)], filled up with zeros."""
    n_words = -(-len(bits) // _WORD_BITS)
    number = BitReader(bits).take(len(bits)) << (_WORD_BITS * n_words - len(bits))
    return np.frombuffer(number.to_bytes(4 * n_words, "big"), ">u4").astype(np.uint32)
