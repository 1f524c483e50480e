"""CompressAI's entropy decoder with bounds, and with a check of the end that costs no bytes.

Its decoder reads past the end of a string that is cut, and decodes damaged strings without a word. But its coder has a
property to check: an encoder starts from the state 2^31, so a decoder that has read a whole, unharmed string is in that
state, at the string's last word. Here the string is followed by two words that are known and by zeros, and a
few symbols more are decoded: they show the low 16 bits of the state, and the known words only if the decoder
stands at the end. Nearly every change of a string shows. One that replaces a symbol by another of equal frequency may
not: among them are the rarest symbols of a table, and the bits of escapes.
"""

import struct

from compressai import ans
from uqdm_codec_host import StreamError

WORD = 4
"""Bytes that the coder reads at once."""
STATE = 8
"""Bytes of a state, with which each string begins."""
_MARK = 0x6A09E667BB67AE85  # the first digits of square roots of 2 and 3: any value without a pattern will do
_ESCAPE_ROOM = 4096
_PRECISION = 16


class CheckedRansDecoder:
    """As ``compressai.ans.RansDecoder``; :meth:`check_end` says whether a string was whole and unharmed.

    ``symbols`` is the most that are decoded: each reads a word at most (but for escapes, which are rare).
    """

    def __init__(self, symbols=0):
        self._decoder = ans.RansDecoder()
        self._symbols = symbols

    def set_stream(self, string):
        """The string to decode; raises StreamError if it has no state or no whole words."""
        if len(string) < STATE or len(string) % WORD:
            raise StreamError("a string of {} bytes is not one of this coder".format(len(string)))
        room = bytes(WORD * self._symbols + _ESCAPE_ROOM)
        self._decoder.set_stream(bytes(string) + struct.pack("<Q", _MARK) + room)

    def decode_stream(self, *arguments):
        """Decodes the next symbols."""
        return self._decoder.decode_stream(*arguments)

    def check_end(self):
        """Raises StreamError unless the string is at its end, with the state that an encoder starts from."""
        halves = [0] + [_MARK >> shift & 0xFFFF for shift in (0, 16, 32, 48)]
        for expected in halves:
            if not self._next_is(expected):
                raise StreamError("a string is damaged: the decoder does not end as the encoder began")

    def _next_is(self, half):
        """Whether the low 16 bits of the state have this value, which it then drops."""
        bounds = sorted({0, half, half + 1, (1 << _PRECISION) - 1, 1 << _PRECISION})  # the last symbol is the escape
        (symbol,) = self._decoder.decode_stream([0], [bounds], [len(bounds)], [0])
        return symbol == bounds.index(half)


class CheckedCoder:
    """The coder of CompressAI's entropy models, with a check of each string that it decodes."""

    name = "ans"

    def __init__(self):
        self._encoder = ans.RansEncoder()

    def encode_with_indexes(self, *arguments):
        """The string of symbols."""
        return self._encoder.encode_with_indexes(*arguments)

    def decode_with_indexes(self, string, indexes, *tables):
        """The symbols of a string; raises StreamError if it is damaged."""
        decoder = CheckedRansDecoder(len(indexes))
        decoder.set_stream(string)
        symbols = decoder.decode_stream(indexes, *tables)
        decoder.check_end()
        return symbols


def check_strings(model):
    """Lets each entropy model of a CompressAI model check the strings that it decodes."""
    from compressai.entropy_models import EntropyModel

    for module in model.modules():
        if isinstance(module, EntropyModel):
            module.entropy_coder = CheckedCoder()


def least_bits(bottleneck):
    """The fewest bits that the channels of one place take by an entropy bottleneck: all symbols are the most likely."""
    import torch

    tables, lengths = bottleneck.quantized_cdf.cpu(), bottleneck.cdf_length.cpu()
    shares = [(table[1:length] - table[: length - 1]).max() for table, length in zip(tables, lengths.tolist())]
    return float(_PRECISION * len(shares) - torch.stack(shares).double().log2().sum())


def check_places(string, places, bits, name):
    """Raises StreamError if a string is too short for so many places, of at least ``bits`` each.

    So what a damaged size asks for is bounded by the bytes that are there, before memory is taken.
    """
    if places * bits > 1.01 * 8 * (len(string) + STATE):
        raise StreamError("its {} of {} bytes is too short for {} places".format(name, len(string), places))
