"""The logistic distribution in integers: probabilities of symbols that are the same on every machine.

A symbol k of a coordinate has probability S((E(k) + 1) / s) - S(E(k) / s), S the logistic function, where
E(k) = k - location is the lower edge of its bin. Locations are fixed point with 16 fractional bits, in bins; the
scale s, in bins, is a power of two with an exponent in multiples of 1/2048. The tables of S and of the powers are
computed in decimal arithmetic and rounded to 30 bits.

Cumulative frequencies are out of 2^24. Every symbol in a window of 17 scales around the location has at least one unit.
All other symbols have one of two escapes, so that any symbol can be coded.

A bounded symbol is one of few. Its distribution is the logistic truncated to an interval; each possible symbol has one
unit and its share of the rest.
"""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import numpy as np

from uqdm.coding.frequencies import TOTAL
from uqdm.compiled import njit

LOCATION_BITS = 16
"""Fractional bits of a location."""
SCALE_BITS = 11
SCALE_UNITS = 1 << SCALE_BITS
"""Steps of the scale's exponent in an octave."""
MIN_SCALE, MAX_SCALE = -12 * SCALE_UNITS, 8 * SCALE_UNITS - 1
"""Range of scale exponents: 2^-12 to 2^8 bins."""
_ONE = 1 << 30
_ARGUMENT_BITS = 20  # fractional bits of an argument of S
_STEP_BITS = 8  # S is tabulated in steps of 2^-8, and interpolated
_RANGE = 20  # S(20) is 1 to within 2^-28


def _logistic_table() -> np.ndarray:
    with localcontext(Context(prec=40)):
        ratio, power = (Decimal(-1) / (1 << _STEP_BITS)).exp(), Decimal(1)
        table = []
        for _ in range(_RANGE << _STEP_BITS):
            table.append(int((_ONE / (1 + power)).to_integral_value()))
            power *= ratio
    return np.array([*table, _ONE, _ONE], np.int64)


def _power_table() -> np.ndarray:
    with localcontext(Context(prec=40)):
        ratio, power = Decimal(2) ** (Decimal(-1) / SCALE_UNITS), Decimal(1)
        table = []
        for _ in range(SCALE_UNITS):
            table.append(int((_ONE * power).to_integral_value()))
            power *= ratio
    return np.array(table, np.int64)


LOGISTIC = _logistic_table()
INVERSE_POWERS = _power_table()


@njit(cache=True)
def half_window(scale: int) -> int:
    """Number of symbols on either side of the location that are coded without an escape."""
    octave = (scale >> SCALE_BITS) + 1  # the scale is below 2^octave bins
    return ((17 << octave) if octave >= 0 else (17 >> -octave)) + 2


@njit(cache=True)
def logistic_at(edge: int, scale: int) -> int:
    """S(edge / s) in units of 2^-30, for an edge with 16 fractional bits; non-decreasing in the edge."""
    octave = scale >> SCALE_BITS
    magnitude = edge if edge >= 0 else -edge
    argument = (magnitude * INVERSE_POWERS[scale & (SCALE_UNITS - 1)]) >> (46 - _ARGUMENT_BITS + octave)
    if argument >= (_RANGE << _ARGUMENT_BITS):
        return _ONE if edge >= 0 else 0
    low = argument >> (_ARGUMENT_BITS - _STEP_BITS)
    rest = argument & ((1 << (_ARGUMENT_BITS - _STEP_BITS)) - 1)
    value = LOGISTIC[low] + (((LOGISTIC[low + 1] - LOGISTIC[low]) * rest) >> (_ARGUMENT_BITS - _STEP_BITS))
    return value if edge >= 0 else _ONE - value


@njit(cache=True)
def cumulative(offset: int, rest: int, scale: int, half: int) -> int:
    """Cumulative frequency at the lower edge of symbol floor(location) + offset; ``rest`` is the location's fraction.

    ``offset`` is in -half..half, between the escapes. The result increases strictly with the offset.
    """
    share = TOTAL - 2 * half - 2
    return 1 + offset + half + ((share * logistic_at((offset << 16) - rest, scale)) >> 30)


@njit(cache=True)
def bounded(location: int, scale: int, low: int, high: int) -> tuple[int, int, int]:
    """A logistic truncated to low..high (fixed point as the location): location, S at low, and the mass in between.

    A location far outside is moved to within 5 to 10 scales: the shape of the tail is the same, with enough digits.
    """
    reach = 5 << ((scale >> SCALE_BITS) + LOCATION_BITS + 1)
    location = min(max(location, low - reach), high + reach)
    before = logistic_at(low - location, scale)
    return location, before, logistic_at(high - location, scale) - before


@njit(cache=True)
def bounded_cumulative(i: int, count: int, edge: int, scale: int, before: int, mass: int) -> int:
    """Cumulative frequency at the lower edge of symbol i of ``count``, which lies ``edge`` from the location.

    ``before`` and ``mass`` are those of :func:`bounded`; i is in 0..count. The result increases strictly with i. The
    first and last symbols include the mass up to the ends of the interval.
    """
    if i == 0:
        return 0
    if i == count:
        return TOTAL
    if mass == 0:
        return i * (TOTAL // count)
    inside = min(max(logistic_at(edge, scale) - before, 0), mass)
    return i + (TOTAL - count) * inside // mass
