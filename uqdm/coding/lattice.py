"""The lattice of the latents, in integers.

With u the dither and ``width`` the width of a step's uniform noise, universal quantization (Sec. 4.2, Yang et al.
2025) sends k = round(m / width + u), m the posterior's mean, and both sides then hold z_s = (k - u) width. Here z_s is
an integer n_s in units of width / 512, and z_T one in units of 2^-12. m is linear in z_t and x. Quantization and its
inverse are therefore integer arithmetic with two fixed-point constants per step, and z is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from uqdm.coding.bounds import Bounds
from uqdm.coding.logistic import LOCATION_BITS
from uqdm.coding.randomness import DITHER_LEVELS, START_BITS

UNITS = 2 * DITHER_LEVELS  # lattice units per bin
_UNIT_BITS = 9
_FIX = 32  # fractional bits of the constants
MAX_LATENT = 1 << 28  # no latent of an image has a greater |n|
MAX_BINS = 1 << 16  # of the data's range, in a step with bounded symbols


@dataclass(frozen=True)
class LatticeStep:
    """Fixed-point constants of one step: posterior mean in units = (a n_t + b (2 v - 255)) / 2^32 for level v."""

    a: int
    b: int
    unit: float
    """Value of one unit of n_s, in units of z."""

    @classmethod
    def make(cls, unit_t: float, z_weight: float, x_weight: float, width: float) -> LatticeStep:
        """From the unit of n_t and the step's constants, all float64; the arithmetic is exact up to one rounding."""
        unit = width / UNITS  # a power of two: exact
        a = Fraction(z_weight) * Fraction(unit_t) / Fraction(unit)
        b = Fraction(x_weight) / 256 / Fraction(unit)
        return cls(round(a * 2**_FIX), round(b * 2**_FIX), unit)

    @property
    def window_is_free(self) -> bool:
        """Whether z_t and z_s together leave one level of x: the last stage then costs nothing."""
        return 2 * self.b >= UNITS << _FIX

    def quantize(self, n_t: np.ndarray, levels: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Symbols k for pixel levels 0..255 given n_t and dither indices; all int64 of one shape."""
        mean = self.a * n_t + self.b * (2 * levels - 255)
        return (mean + ((2 * j + 1) << _FIX)) >> (_FIX + _UNIT_BITS)

    def latent(self, k: np.ndarray, j: np.ndarray) -> np.ndarray:
        """n_s = 512 (k - u) for symbols k."""
        return UNITS * k - (2 * j + 1) + DITHER_LEVELS

    def known_location(self, n_t: np.ndarray, j: np.ndarray) -> np.ndarray:
        """The part of a symbol's expected position that is known exactly, (z_weight z_t) / width + u + 1/2, in bins.

        Fixed point with 16 fractional bits, int64. The network adds x_weight x_hat / width.
        """
        shift = _FIX + _UNIT_BITS - LOCATION_BITS
        return ((self.a * n_t) >> shift) + ((2 * j + 1) << (LOCATION_BITS - _UNIT_BITS))

    @property
    def n_bins(self) -> int:
        """Number of bins of the data's whole range."""
        return (512 * self.b >> (_FIX + _UNIT_BITS)) + 1

    def bounds(self, n_t: np.ndarray, first: np.ndarray, last: np.ndarray, j: np.ndarray) -> Bounds:
        """The symbols that are possible for levels ``first`` to ``last``; all int64 of one shape."""
        mean, shift = self.a * n_t + ((2 * j + 1) << _FIX), _FIX + _UNIT_BITS
        low, high = mean + self.b * (2 * first - 256), mean + self.b * (2 * last - 254)
        return Bounds(
            low >> (shift - LOCATION_BITS),
            high >> (shift - LOCATION_BITS),
            (low + self.b) >> shift,
            (high - self.b) >> shift,
        )

    def narrow(
        self, n_t: np.ndarray, k: np.ndarray, j: np.ndarray, first: np.ndarray, last: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The levels of ``first`` to ``last`` that are possible given the symbols, as first and last."""
        begin, count = self.window(n_t, k, j)
        first, last = np.maximum(first, begin), np.minimum(last, begin + count - 1)
        return first, np.maximum(last, first)

    def window(self, n_t: np.ndarray, k: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First level of x that is quantized to k, and the number of such levels (at least 1), int64."""
        low = ((UNITS * k - (2 * j + 1)) << _FIX) - self.a * n_t  # of b (2 v - 255), inclusive
        first = _ceil_div(low + 255 * self.b, 2 * self.b)
        past = _ceil_div(low + (UNITS << _FIX) + 255 * self.b, 2 * self.b)
        first, past = np.clip(first, 0, 255), np.clip(past, 1, 256)
        return first, np.maximum(past - first, 1)


def _ceil_div(numerator: np.ndarray, denominator: int) -> np.ndarray:
    return -((-numerator) // denominator)


START_UNIT = 2.0**-START_BITS
