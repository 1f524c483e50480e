"""The normal distribution in integers: tables of rounded latents that are the same on every machine.

A symbol k of deviation s has probability Phi((k + 1/2) / s) - Phi((k - 1/2) / s). Deviations are powers of two with
exponents in steps of 1/8. Phi is tabulated in decimal arithmetic, rounded to 30 bits, and interpolated in integers.

With a dither u, a symbol has probability Phi((k + u + 1/2) / s) - Phi((k + u - 1/2) / s). Dithers are the 32 values
(2 j + 1) / 64 - 1/2.
"""

from __future__ import annotations

import functools
from decimal import Context, Decimal, localcontext

import numpy as np

from uqdm.coding.frequencies import TOTAL, Frequencies

CELL_BITS = 3
"""log2 of the number of deviations in an octave."""
CELLS = 1 << CELL_BITS
MIN_OCTAVE, MAX_OCTAVE = -4, 8
"""Deviations are from 2^-4 to 2^8."""
N_ROWS = (MAX_OCTAVE - MIN_OCTAVE) * CELLS
"""Number of deviations."""
DITHERS = 32
"""Number of dithers."""

_ONE = 1 << 30
_STEP_BITS = 8  # Phi is tabulated in steps of 2^-8
_ARGUMENT_BITS = 24  # fractional bits of an argument of Phi
_RANGE = 7  # Phi(7) is 1 to within 2^-39
_REACH = 5.5  # deviations on either side of 0 that a row covers; the escapes have 4e-8
_PI = Decimal("3.14159265358979323846264338327950288419716939937511")


@functools.cache
def normal_table() -> np.ndarray:
    """Phi(i / 2^8) in units of 2^-30, for i from 0 on; correctly rounded, int64."""
    with localcontext(Context(prec=40)):
        density = 1 / (2 * _PI).sqrt()
        table = [int((_ONE * _phi(Decimal(i) / (1 << _STEP_BITS), density)).to_integral_value()) for i in range(_SIZE)]
    return np.array([*table, _ONE, _ONE], np.int64)


_SIZE = _RANGE << _STEP_BITS


def _phi(x: Decimal, density: Decimal) -> Decimal:
    """Phi(x) = 1/2 + density exp(-x^2 / 2) (x + x^3 / 3 + x^5 / (3 5) + ...)."""
    term, total, n = x, x, 1
    while term > Decimal("1e-30"):
        n += 2
        term *= x * x / n
        total += term
    return Decimal("0.5") + density * (-x * x / 2).exp() * total


@functools.cache
def _inverse_deviations() -> tuple[int, ...]:
    """1 / s of each row in units of 2^-30, s in the middle of the row's cell."""
    with localcontext(Context(prec=40)):
        exponents = [Decimal(2 * row + 1) / (2 * CELLS) + MIN_OCTAVE for row in range(N_ROWS)]
        return tuple(int((_ONE * Decimal(2) ** -exponent).to_integral_value()) for exponent in exponents)


@functools.cache
def gaussian_frequencies() -> Frequencies:
    """A row for each deviation 2^((row + 1/2) / 8 - 4), symbols around 0.

    >>> frequencies = gaussian_frequencies()
    >>> frequencies.n_rows, frequencies.firsts[0], frequencies.firsts[-1]
    (96, np.int64(-1), np.int64(-1349))
    """
    rows, firsts = [], []
    for inverse in _inverse_deviations():
        half = int(np.ceil(_REACH * _ONE / inverse))
        rows.append(_row(inverse, half))
        firsts.append(-half)
    return Frequencies.of(rows, firsts)


def dither_values(j: np.ndarray) -> np.ndarray:
    """The dithers of indices j in 0..31, float64.

    >>> dither_values(np.array([0, 31])).tolist()
    [-0.484375, 0.484375]
    """
    return (2 * j + 1) / (2 * DITHERS) - 0.5


@functools.cache
def dithered_frequencies() -> Frequencies:
    """A row for each deviation and dither: row 32 r + j of deviation r of the above and dither j.

    >>> dithered_frequencies().n_rows
    3072
    """
    rows, firsts = [], []
    for inverse in _inverse_deviations():
        half = int(np.ceil(_REACH * _ONE / inverse)) + 1
        mirrored = [_dithered_row(inverse, half, j) for j in range(DITHERS // 2, DITHERS)]
        rows += [TOTAL - row[::-1] for row in reversed(mirrored)]
        rows += mirrored
        firsts += [-half] * DITHERS
    return Frequencies.of(rows, firsts)


def _row(inverse: int, half: int) -> np.ndarray:
    """Edges of the symbols -half to half: the upper ones from Phi, the lower ones by symmetry."""
    upper = _phi_of_halves(2 * np.arange(half + 1) + 1, 1, inverse)  # at the upper edges of 0, 1, ..., half
    share = TOTAL - 2 * half - 3  # every symbol and escape has a slot of its own
    above = (share * upper) >> 30
    slots = np.concatenate([share - above[::-1], above])
    return slots + np.arange(1, 2 * half + 3)


def _dithered_row(inverse: int, half: int, j: int) -> np.ndarray:
    """Edges of the symbols -half to half for a dither: k + u - 1/2 is (64 k + 2 j - 63) / 64."""
    numerators = 2 * DITHERS * np.arange(-half, half + 2) + 2 * j + 1 - 2 * DITHERS
    at = _phi_of_halves(np.abs(numerators), DITHERS, inverse)
    share = TOTAL - 2 * half - 3
    return ((share * np.where(numerators < 0, _ONE - at, at)) >> 30) + np.arange(1, 2 * half + 3)


def _phi_of_halves(numerators: np.ndarray, parts: int, inverse: int) -> np.ndarray:
    """Phi of numerator / (2 parts s), 0 or more, in units of 2^-30; 1 / s is ``inverse`` in units of 2^-30."""
    return _interpolated((numerators * inverse) // (parts << (31 - _ARGUMENT_BITS)))


def _interpolated(arguments: np.ndarray) -> np.ndarray:
    """Phi of arguments with 24 fractional bits, in units of 2^-30."""
    table = normal_table()
    clipped = np.minimum(arguments, _SIZE << (_ARGUMENT_BITS - _STEP_BITS))
    low = clipped >> (_ARGUMENT_BITS - _STEP_BITS)
    rest = clipped & ((1 << (_ARGUMENT_BITS - _STEP_BITS)) - 1)
    return table[low] + (((table[low + 1] - table[low]) * rest) >> (_ARGUMENT_BITS - _STEP_BITS))
