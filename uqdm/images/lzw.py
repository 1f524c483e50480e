"""Reads the LZW data of a TIFF strip without keeping pixels, to check that they are complete (TIFF 6.0, section 13)."""

from __future__ import annotations

import numpy as np

from uqdm.compiled import njit
from uqdm.images.errors import damaged

_CLEAR = 256
_END = 257
_FIRST = 258
_MOST = 4096
_SHORT = 1
_BAD_CODE = 2
_FAULTS = {_SHORT: "a strip or tile ends too early", _BAD_CODE: "a code of LZW that does not exist"}


def check_lzw(part: bytes, expected: int) -> None:
    """Raises RefusedError unless a strip or tile holds codes of at least ``expected`` bytes.

    Data in the bit order of the oldest writers (their first code is not 256) are left to the decoder.
    """
    if part[:1] != b"\x80":
        return
    fault = _check(np.frombuffer(part + bytes(4), np.uint8), 8 * len(part), expected)
    if fault:
        raise damaged(_FAULTS[fault])


@njit(cache=True)
def _check(data, bits, expected):  # type: ignore[no-untyped-def]
    lengths = np.ones(_MOST + 1, np.int64)  # of the text of each code
    known, width, position, n, before = _FIRST, 9, 0, 0, np.int64(-1)
    while n < expected:
        if position + width > bits:
            return _SHORT
        byte = position >> 3
        four = np.int64(0)
        for k in range(4):
            four = (four << 8) | np.int64(data[byte + k])
        code = (four >> (32 - width - (position & 7))) & ((1 << width) - 1)
        position += width
        if code == _END:
            return _SHORT
        if code == _CLEAR:
            known, width, before = _FIRST, 9, np.int64(-1)
            continue
        if code > known or (code == known and before < 0) or (before < 0 and code >= _CLEAR):
            return _BAD_CODE
        if before >= 0 and known < _MOST:
            lengths[known] = lengths[before] + 1
            known += 1
        n += lengths[code]
        before = code
        width = 9 if known < 511 else 10 if known < 1023 else 11 if known < 2047 else 12
    return 0
