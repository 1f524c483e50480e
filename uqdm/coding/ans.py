"""One stream of an asymmetric numeral system (range variant, rANS; Duda 2013) for all symbols of an image.

The stream is last in, first out: the writer pushes symbols in reverse, so that a reader which stops after any symbol
needs only a prefix of the bytes. The state is in [2^32, 2^48), words have 16 bits, frequencies are out of 2^24. The
writer's initial state carries a check value of 32 bits, which the reader finds after the last symbol.

A *short* stream is for small files that are read as a whole. Its initial state is 2^16 plus a check value of 16 bits:
until the first word is due, the state may be below the usual range. The final state takes its own number of bytes, 3 to
6, and the length of the stream tells how many. So a short stream has the information of its symbols, 16 to 25 bits of
the initial state, and less than a byte to fill the last one. A symbol that is coded into a state below 2^24 takes more
than its information, or less: zeros at the end of a table's symbols take nothing. With latents of images both together
take 16 to 18 bits, or less.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uqdm.coding.bounds import Bounds
from uqdm.coding.frequencies import TOTAL, TOTAL_BITS, Frequencies
from uqdm.coding.logistic import bounded, bounded_cumulative, cumulative, half_window
from uqdm.compiled import njit

_LOW = 1 << 32
_WORD_BITS = 16
_WORD_MASK = 0xFFFF
_RENORM = (_LOW >> TOTAL_BITS) << _WORD_BITS
STATE_BYTES = 6
_SHORT_BYTES = 5  # of a state in the usual range that is below 2^40
_SHORT_LOW = 1 << 16
SHORT_CHECK_BITS = 16
MAX_RAW_BITS = 16
_ESCAPE_LENGTH_BITS = 6
_WORDS_PER_SYMBOL = 8  # for an escaped symbol, of 24 + 6 + at most 63 bits


class DamagedStreamError(ValueError):
    """A stream ends early, or has values that no writer writes."""


@njit(cache=True)
def _push(state, words, n, first, frequency):  # type: ignore[no-untyped-def]
    limit = np.uint64(_RENORM) * np.uint64(frequency)
    while state >= limit:
        words[n] = state & np.uint64(_WORD_MASK)
        n += 1
        state >>= np.uint64(_WORD_BITS)
    f = np.uint64(frequency)
    quotient = state // f
    return (quotient << np.uint64(TOTAL_BITS)) + (state - quotient * f) + np.uint64(first), n


@njit(cache=True)
def _pop(state, words, n, least, first, frequency):  # type: ignore[no-untyped-def]
    """Removes a symbol; returns the new state and position, or -1 as position if no words are left.

    Without words a state from ``least`` on stands: the writer began with one that is below the usual range.
    """
    slot = state & np.uint64(TOTAL - 1)
    state = np.uint64(frequency) * (state >> np.uint64(TOTAL_BITS)) + slot - np.uint64(first)
    while state < np.uint64(_LOW):
        if n >= words.size:
            return state, (n if state >= np.uint64(least) else -1)
        state = (state << np.uint64(_WORD_BITS)) | np.uint64(words[n])
        n += 1
    return state, n


@njit(cache=True)
def _push_raw(state, words, n, value, bits):  # type: ignore[no-untyped-def]
    return _push(state, words, n, value << (TOTAL_BITS - bits), 1 << (TOTAL_BITS - bits))


@njit(cache=True)
def _pop_raw(state, words, n, least, bits):  # type: ignore[no-untyped-def]
    value = np.int64(state & np.uint64(TOTAL - 1)) >> (TOTAL_BITS - bits)
    state, n = _pop(state, words, n, least, value << (TOTAL_BITS - bits), 1 << (TOTAL_BITS - bits))
    return value, state, n


@njit(cache=True)
def _push_excess(state, words, n, excess):  # type: ignore[no-untyped-def]
    """Elias gamma code of excess + 1: its length, then its bits after the leading one, most significant first."""
    value, length = excess + 1, 0
    while (value >> length) > 1:
        length += 1
    for shift in range(0, length, MAX_RAW_BITS):
        bits = min(MAX_RAW_BITS, length - shift)
        state, n = _push_raw(state, words, n, (value >> shift) & ((1 << bits) - 1), bits)
    return _push_raw(state, words, n, length, _ESCAPE_LENGTH_BITS)


@njit(cache=True)
def _pop_excess(state, words, n, least):  # type: ignore[no-untyped-def]
    length, state, n = _pop_raw(state, words, n, least, _ESCAPE_LENGTH_BITS)
    if n < 0 or length > 33:  # no 32-bit symbol is further away
        return 0, state, -2 if n >= 0 else -1
    value, left = 1, length
    while left > 0:
        bits = left % MAX_RAW_BITS
        if bits == 0:
            bits = MAX_RAW_BITS
        part, state, n = _pop_raw(state, words, n, least, bits)
        if n < 0:
            return 0, state, n
        value = (value << bits) | part
        left -= bits
    return value - 1, state, n


@njit(cache=True, nogil=True)
def _push_symbols(state, words, n, symbols, locations, scales):  # type: ignore[no-untyped-def]
    for i in range(symbols.size - 1, -1, -1):
        scale = scales[i]
        half = half_window(scale)
        rest = locations[i] & 0xFFFF
        offset = symbols[i] - (locations[i] >> 16)
        if offset < -half:
            state, n = _push_excess(state, words, n, -half - 1 - offset)
            state, n = _push(state, words, n, 0, cumulative(-half, rest, scale, half))
        elif offset >= half:
            first = cumulative(half, rest, scale, half)
            state, n = _push_excess(state, words, n, offset - half)
            state, n = _push(state, words, n, first, TOTAL - first)
        else:
            first = cumulative(offset, rest, scale, half)
            state, n = _push(state, words, n, first, cumulative(offset + 1, rest, scale, half) - first)
    return state, n


@njit(cache=True, nogil=True)
def _pop_symbols(state, words, n, least, locations, scales, symbols):  # type: ignore[no-untyped-def]
    for i in range(symbols.size):
        scale = scales[i]
        half = half_window(scale)
        rest = locations[i] & 0xFFFF
        base = locations[i] >> 16
        slot = np.int64(state & np.uint64(TOTAL - 1))
        low, high = -half, half
        first = cumulative(low, rest, scale, half)
        past = cumulative(high, rest, scale, half)
        if slot < first:
            state, n = _pop(state, words, n, least, 0, first)
            if n < 0:
                return state, n
            excess, state, n = _pop_excess(state, words, n, least)
            symbols[i] = base - half - 1 - excess
        elif slot >= past:
            state, n = _pop(state, words, n, least, past, TOTAL - past)
            if n < 0:
                return state, n
            excess, state, n = _pop_excess(state, words, n, least)
            symbols[i] = base + half + excess
        else:
            low, first, past = _search(slot, rest, scale, half, first, past)
            state, n = _pop(state, words, n, least, first, past - first)
            symbols[i] = base + low
        if n < 0:
            return state, n
    return state, n


@njit(cache=True)
def _search(slot, rest, scale, half, first, past):  # type: ignore[no-untyped-def]
    """The offset whose interval contains the slot: steps of doubling size from the mode, then bisection."""
    low, high = -half, half
    at = cumulative(0, rest, scale, half)
    step = 1
    if slot >= at:
        low, first = 0, at
        while low + step < high:
            at = cumulative(low + step, rest, scale, half)
            if slot < at:
                high, past = low + step, at
                break
            low, first = low + step, at
            step *= 2
    else:
        high, past = 0, at
        while high - step > low:
            at = cumulative(high - step, rest, scale, half)
            if slot >= at:
                low, first = high - step, at
                break
            high, past = high - step, at
            step *= 2
    while high - low > 1:
        middle = (low + high) >> 1
        at = cumulative(middle, rest, scale, half)
        if slot >= at:
            low, first = middle, at
        else:
            high, past = middle, at
    return low, first, past


@njit(cache=True, nogil=True)
def _push_bounded(state, words, n, symbols, locations, scales, lows, highs, firsts, lasts):  # type: ignore[no-untyped-def]
    for i in range(symbols.size - 1, -1, -1):
        count = lasts[i] - firsts[i] + 1
        if count > 1:
            scale = scales[i]
            location, before, mass = bounded(locations[i], scale, lows[i], highs[i])
            at, edge = symbols[i] - firsts[i], (symbols[i] << 16) - location
            first = bounded_cumulative(at, count, edge, scale, before, mass)
            past = bounded_cumulative(at + 1, count, edge + (1 << 16), scale, before, mass)
            state, n = _push(state, words, n, first, past - first)
    return state, n


@njit(cache=True, nogil=True)
def _pop_bounded(state, words, n, least, locations, scales, lows, highs, firsts, lasts, symbols):  # type: ignore[no-untyped-def]
    for i in range(symbols.size):
        symbols[i] = firsts[i]
        count = lasts[i] - firsts[i] + 1
        if count > 1:
            scale = scales[i]
            location, before, mass = bounded(locations[i], scale, lows[i], highs[i])
            zero = (firsts[i] << 16) - location
            slot = np.int64(state & np.uint64(TOTAL - 1))
            low, high, first, past = 0, count, 0, TOTAL
            while high - low > 1:
                middle = (low + high) >> 1
                at = bounded_cumulative(middle, count, zero + (middle << 16), scale, before, mass)
                if slot >= at:
                    low, first = middle, at
                else:
                    high, past = middle, at
            state, n = _pop(state, words, n, least, first, past - first)
            if n < 0:
                return state, n
            symbols[i] += low
    return state, n


@njit(cache=True, nogil=True)
def _push_choices(state, words, n, values, counts):  # type: ignore[no-untyped-def]
    for i in range(values.size - 1, -1, -1):
        if counts[i] > 1:
            share = TOTAL // counts[i]
            first = values[i] * share
            frequency = share if values[i] + 1 < counts[i] else TOTAL - first
            state, n = _push(state, words, n, first, frequency)
    return state, n


@njit(cache=True, nogil=True)
def _pop_choices(state, words, n, least, counts, values):  # type: ignore[no-untyped-def]
    for i in range(counts.size):
        values[i] = 0
        if counts[i] > 1:
            share = TOTAL // counts[i]
            value = min(np.int64(state & np.uint64(TOTAL - 1)) // share, counts[i] - 1)
            first = value * share
            state, n = _pop(state, words, n, least, first, share if value + 1 < counts[i] else TOTAL - first)
            if n < 0:
                return state, n
            values[i] = value
    return state, n


@njit(cache=True)
def _slots_before_zero(row, edges, starts, firsts):  # type: ignore[no-untyped-def]
    """Slots below those of symbol 0, the usual mode. The slots of a row are used from there on, in a circle.

    A mode whose slots begin at 0 takes no more than its information in a state that is still small.
    """
    return edges[min(max(starts[row] - firsts[row], starts[row]), starts[row + 1] - 1)]


@njit(cache=True, nogil=True)
def _push_tabled(state, words, n, symbols, rows, edges, starts, firsts):  # type: ignore[no-untyped-def]
    for i in range(symbols.size - 1, -1, -1):
        row = rows[i]
        start, last = starts[row], starts[row + 1] - 1
        place = start + symbols[i] - firsts[row]
        first, past = np.int64(0), edges[start]
        if place < start:
            state, n = _push_excess(state, words, n, start - 1 - place)
        elif place >= last:
            state, n = _push_excess(state, words, n, place - last)
            first, past = edges[last], np.int64(TOTAL)
        else:
            first, past = edges[place], edges[place + 1]
        before = _slots_before_zero(row, edges, starts, firsts)
        state, n = _push(state, words, n, (first - before) & (TOTAL - 1), past - first)
    return state, n


@njit(cache=True, nogil=True)
def _pop_tabled(state, words, n, least, rows, edges, starts, firsts, symbols):  # type: ignore[no-untyped-def]
    for i in range(symbols.size):
        row = rows[i]
        start, last = starts[row], starts[row + 1] - 1
        before = _slots_before_zero(row, edges, starts, firsts)
        slot = (np.int64(state & np.uint64(TOTAL - 1)) + before) & (TOTAL - 1)
        if slot < edges[start]:
            state, n = _pop(state, words, n, least, (-before) & (TOTAL - 1), edges[start])
            if n < 0:
                return state, n
            excess, state, n = _pop_excess(state, words, n, least)
            symbols[i] = firsts[row] - 1 - excess
        elif slot >= edges[last]:
            state, n = _pop(state, words, n, least, (edges[last] - before) & (TOTAL - 1), TOTAL - edges[last])
            if n < 0:
                return state, n
            excess, state, n = _pop_excess(state, words, n, least)
            symbols[i] = firsts[row] + last - start + excess
        else:
            low, high = start, last
            while high - low > 1:
                middle = (low + high) >> 1
                if slot >= edges[middle]:
                    low = middle
                else:
                    high = middle
            first = (edges[low] - before) & (TOTAL - 1)
            state, n = _pop(state, words, n, least, first, edges[low + 1] - edges[low])
            symbols[i] = firsts[row] + low - start
        if n < 0:
            return state, n
    return state, n


class Writer:
    """Collects values in the order in which they are read; :meth:`finish` codes them.

    >>> writer = Writer()
    >>> writer.raw(5, bits=3)
    >>> reader = Reader(writer.finish(check=7)[0])
    >>> reader.raw(3), reader.check()
    (5, 7)
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[str, tuple[np.ndarray, ...] | tuple[int, int]]] = []
        self._size = 0

    def raw(self, value: int, bits: int) -> None:
        """A number of 1 to 16 bits, uniformly distributed."""
        if not (1 <= bits <= MAX_RAW_BITS and 0 <= value < 1 << bits):
            raise ValueError(f"{value} does not fit in {bits} bits")
        self._pieces.append(("raw", (value, bits)))
        self._size += 1

    def symbols(self, symbols: np.ndarray, locations: np.ndarray, scales: np.ndarray) -> None:
        """Integers with logistic distributions; int64 arrays [N] (see :mod:`uqdm.coding.logistic`).

        Every 32-bit integer can be coded.
        """
        self._pieces.append(("symbols", (symbols, locations, scales)))
        self._size += symbols.size

    def bounded(self, symbols: np.ndarray, locations: np.ndarray, scales: np.ndarray, bounds: Bounds) -> None:
        """Integers within bounds, with logistic distributions truncated there; int64 arrays [N].

        Every integer within the bounds can be coded; a symbol with one possible value takes no bits.
        """
        of = (bounds.low, bounds.high, bounds.first, bounds.last)
        self._pieces.append(("bounded", (symbols, locations, scales, *of)))
        self._size += symbols.size

    def tabled(self, symbols: np.ndarray, rows: np.ndarray, frequencies: Frequencies) -> None:
        """Integers, each with the frequencies of a row of a table; int64 arrays [N].

        Every 32-bit integer can be coded.
        """
        of = (frequencies.edges, frequencies.starts, frequencies.firsts)
        self._pieces.append(("tabled", (symbols, rows, *of)))
        self._size += symbols.size

    def choices(self, values: np.ndarray, counts: np.ndarray) -> None:
        """Values uniform in 0..count-1, int64 arrays [N]; a count of 1 takes no bits."""
        self._pieces.append(("choices", (values, counts)))
        self._size += values.size

    def mark(self) -> None:
        """Marks this position: :meth:`finish` returns how many bytes a reader needs to get here."""
        self._pieces.append(("mark", ()))

    def finish(self, check: int = 0) -> tuple[bytes, list[int]]:
        """Codes all values. Returns the stream, and for each mark the size of the prefix that has the values before it.

        ``check`` is a number of 32 bits that the reader finds at the end; it takes no additional bits.
        """
        state, words, marks = self._code(_LOW + check)
        head = state.to_bytes(STATE_BYTES, "big")
        return head + words.tobytes(), [STATE_BYTES + 2 * (words.size - mark) for mark in marks]

    def finish_short(self, check: int) -> bytes:
        """Codes all values to a short stream; ``check`` has 16 bits.

        >>> writer = Writer()
        >>> writer.raw(5, bits=3)
        >>> stream = writer.finish_short(check=7)
        >>> reader = Reader.short(stream)
        >>> len(stream), reader.raw(3), reader.check()
        (3, 5, 7)
        """
        state, words, _ = self._code(_SHORT_LOW + check)
        return state.to_bytes((state.bit_length() + 7) // 8, "big") + words.tobytes()

    def _code(self, initial: int) -> tuple[int, np.ndarray, list[int]]:
        """Final state, words in the order of reading, and for each mark the number of words after it."""
        words = np.empty(_WORDS_PER_SYMBOL * self._size + 8, np.uint16)
        state, n, marks = np.uint64(initial), 0, []
        for kind, data in reversed(self._pieces):
            if kind == "mark":
                marks.append(n)
            else:
                state, n = _PUSHERS[kind](np.uint64(state), words, n, *data)
        return int(state), words[:n][::-1].astype(">u2"), marks[::-1]


_PUSHERS: dict[str, Any] = {
    "raw": _push_raw,
    "symbols": _push_symbols,
    "bounded": _push_bounded,
    "tabled": _push_tabled,
    "choices": _push_choices,
}


class Reader:
    """Reads a stream or a prefix of one, in the order in which it was written.

    Every method raises :class:`DamagedStreamError` if the stream ends early.
    """

    def __init__(self, stream: bytes):
        if len(stream) < STATE_BYTES:
            raise DamagedStreamError(f"{len(stream)} bytes are no stream: its state alone takes {STATE_BYTES}")
        self._begin(stream, STATE_BYTES, _LOW)
        self._check_bits = 32
        if not _LOW <= int(self._state) < _LOW << _WORD_BITS:
            raise DamagedStreamError("the stream begins with an invalid state")

    @classmethod
    def short(cls, stream: bytes) -> Reader:
        """A reader of a short stream, which must be whole."""
        reader = cls.__new__(cls)
        size = len(stream) if len(stream) <= STATE_BYTES else _SHORT_BYTES + (len(stream) - _SHORT_BYTES) % 2
        reader._begin(stream, size, _SHORT_LOW)
        reader._check_bits = SHORT_CHECK_BITS
        if int(reader._state) < _SHORT_LOW or not stream[0]:
            raise DamagedStreamError("the stream begins with an invalid state")
        return reader

    def _begin(self, stream: bytes, state_bytes: int, least: int) -> None:
        self._state = np.uint64(int.from_bytes(stream[:state_bytes], "big"))
        usable = (len(stream) - state_bytes) // 2 * 2
        self._words = np.frombuffer(stream, ">u2", usable // 2, state_bytes).astype(np.uint16)
        self._least, self._n = least, 0

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return STATE_BYTES + 2 * self._n

    def raw(self, bits: int) -> int:
        """See :meth:`Writer.raw`."""
        value, state, n = _pop_raw(self._state, self._words, self._n, self._least, bits)
        self._advance(state, n)
        return int(value)

    def symbols(self, locations: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """See :meth:`Writer.symbols`; int64 [N]."""
        symbols = np.empty(locations.size, np.int64)
        self._advance(*_pop_symbols(self._state, self._words, self._n, self._least, locations, scales, symbols))
        return symbols

    def bounded(self, locations: np.ndarray, scales: np.ndarray, bounds: Bounds) -> np.ndarray:
        """See :meth:`Writer.bounded`; int64 [N]."""
        symbols = np.empty(locations.size, np.int64)
        of = (bounds.low, bounds.high, bounds.first, bounds.last)
        self._advance(*_pop_bounded(self._state, self._words, self._n, self._least, locations, scales, *of, symbols))
        return symbols

    def tabled(self, rows: np.ndarray, frequencies: Frequencies) -> np.ndarray:
        """See :meth:`Writer.tabled`; int64 [N]."""
        symbols = np.empty(rows.size, np.int64)
        of = (frequencies.edges, frequencies.starts, frequencies.firsts)
        self._advance(*_pop_tabled(self._state, self._words, self._n, self._least, rows, *of, symbols))
        return symbols

    def choices(self, counts: np.ndarray) -> np.ndarray:
        """See :meth:`Writer.choices`; int64 [N]."""
        values = np.empty(counts.size, np.int64)
        self._advance(*_pop_choices(self._state, self._words, self._n, self._least, counts, values))
        return values

    def check(self) -> int:
        """The writer's check value, after all values have been read."""
        value = int(self._state) - self._least
        if self._n != self._words.size or not 0 <= value < 1 << self._check_bits:
            raise DamagedStreamError("the stream does not end after its last value")
        return value

    def _advance(self, state: np.uint64, n: int) -> None:
        if n < 0:
            reason = "ends early" if n == -1 else "holds a symbol beyond 32 bits"
            raise DamagedStreamError(f"the stream {reason}")
        self._state, self._n = np.uint64(state), n
