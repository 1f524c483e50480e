"""Universal (dithered) quantization (Roberts 1962; Ziv 1985; Sec. 4.1, Yang et al. 2025): uniform noise, sent exactly.

q is uniform around mu with unit variance, and p is a Gaussian convolved with the same uniform: the noise is not
Gaussian. A message takes one shared number and one rounding per dimension at any divergence.
"""

from __future__ import annotations

import functools
import math

import constriction
import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import log_ndtr

from uqdm.channel import range_code
from uqdm.channel.contract import MAX_DRAWS, Sent, Simulator
from uqdm.channel.randomness import uniforms

WIDTH = math.sqrt(12)
"""Width of the uniform noise with a deviation of 1."""
MIN_BASE_SD = 1e-3
MAX_BASE_SD = 1e3
MAX_BINS = 16
"""Maximum of |mu| in bins; every bin in reach has at least 2^-24 of the code."""
_REACH = MAX_BINS + 1
_BINS = constriction.stream.model.QuantizedGaussian(-_REACH, _REACH)


class UniversalQuantization(Simulator):
    """The nearest point to mu of a lattice that a shared dither shifts.

    p is N(0, base_sd^2) convolved with U(-sqrt 3, sqrt 3). The bins of all coordinates of a message are coded together.

    >>> coder = UniversalQuantization(kl_bits=2.0, n=2)
    >>> sent = coder.encode(np.array([1.6, -0.3]), seed=3)
    >>> sent.draws, bool((abs(sent.sample - [1.6, -0.3]) <= WIDTH / 2).all())
    (2, True)
    """

    name = "universal quantization"
    source = "Ziv 1985; Yang et al. 2025"

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS, base_sd: float = 1.0):
        super().__init__(kl_bits, n, max_draws=max_draws)
        if not MIN_BASE_SD <= base_sd <= MAX_BASE_SD:
            raise ValueError(f"base_sd={base_sd}: must be in {MIN_BASE_SD}..{MAX_BASE_SD}")
        self._base_sd = base_sd

    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """See :meth:`uqdm.channel.contract.Simulator.encode`; ValueError for means beyond ``MAX_BINS`` bins."""
        mu = self._checked(mu)
        if np.abs(mu).max() > MAX_BINS * WIDTH:
            raise ValueError(f"mu: {np.abs(mu).max():g} is more than {MAX_BINS} bins away from p's mean")
        dither = uniforms(seed, self.n) - 0.5
        k = np.round(mu / WIDTH + dither).astype(int)
        bits = range_code.encode(k, _BINS, dither, self._deviations)
        ideal = -_log_mass(k - dither, self._base_sd).sum() / math.log(2)
        return Sent((k - dither) * WIDTH, bits, self.n, float(ideal))

    def decode(self, bits: str, seed: int) -> np.ndarray:
        """See :meth:`uqdm.channel.contract.Simulator.decode`."""
        dither = uniforms(seed, self.n) - 0.5
        k = range_code.decode(bits, _BINS, dither, self._deviations)
        return (k - dither) * WIDTH

    @property
    def _deviations(self) -> np.ndarray:
        """Of p's base in each coordinate, in bins; float64 [n]."""
        return np.full(self.n, self._base_sd / WIDTH)


def _log_mass(place: np.ndarray, base_sd: float) -> np.ndarray:
    """Logarithm of the mass of p's base in the bins around ``place``, which is in units of the width."""
    # Computed in the left tail, where rounding loses nothing.
    nearer, further = (log_ndtr((side - np.abs(place)) * WIDTH / base_sd) for side in (0.5, -0.5))
    return np.asarray(nearer + np.log1p(-np.exp(further - nearer)))


def uniform_kl_bits(mean: float, base_sd: float = 1.0) -> float:
    """KL(q || p) in bits of one coordinate, by quadrature (eq. 6 and 9, Yang et al. 2025).

    >>> round(uniform_kl_bits(0.0), 2)
    0.4
    """
    half = WIDTH / 2

    def surprise(z: float) -> float:
        return -float(_log_mass(np.array(z / WIDTH), base_sd)) / math.log(2)

    return float(quad(surprise, mean - half, mean + half, points=[0.0] if abs(mean) < half else None)[0]) / WIDTH


@functools.lru_cache(maxsize=256)
def uniform_mean_of_kl(kl_bits: float, base_sd: float = 1.0) -> float:
    """The mean at which a coordinate's divergence is ``kl_bits``; ValueError if a mean of 0 already has more."""
    least = uniform_kl_bits(0.0, base_sd)
    if kl_bits < least:
        raise ValueError(f"{kl_bits} bits: a coordinate costs at least {least:.3f} bits with this base")
    return float(brentq(lambda mean: uniform_kl_bits(mean, base_sd) - kl_bits, 0.0, 50.0 * base_sd))
