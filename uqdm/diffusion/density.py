"""The base density g of the reverse process, and the mass it gives to a quantization bin.

It is a logistic or, as the paper's other choice (eqs. 6 and 7, Yang et al. 2025), a Gaussian.

p(z_s | z_t) is g convolved with the uniform noise of the step (eq. 5, Yang et al. 2025). At a point z of a lattice
of spacing ``width`` its density times the width is the mass of g in the bin around z, the probability of a symbol.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

LOGISTIC_SCALE_PER_DEVIATION = math.sqrt(3) / math.pi


def bin_log_mass(
    z: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor, width: float, density: str = "logistic"
) -> torch.Tensor:
    """Log (nats) of the mass of g in [z - width/2, z + width/2]; accurate in both tails.

    ``density`` is one of :data:`DENSITIES`, parametrized by deviation.

    >>> mass = bin_log_mass(torch.zeros(1), torch.zeros(1), torch.ones(1), width=100.0)
    >>> float(mass.exp())
    1.0
    """
    family = DENSITIES[density]
    scale = deviation * family.scale_per_deviation
    centre = (z - mean) / scale
    half = 0.5 * width / scale
    return family.log_mass(centre - half, centre + half, 2 * half)


def bounded_log_mass(
    z: torch.Tensor,
    mean: torch.Tensor,
    deviation: torch.Tensor,
    width: float,
    bounds: tuple[torch.Tensor, torch.Tensor],
    least: float,
    density: str = "logistic",
) -> torch.Tensor:
    """As :func:`bin_log_mass`, for g truncated to ``bounds`` and normalized.

    The part of the bin within bounds is at least ``least`` wide.

    >>> z, one = torch.zeros(1), torch.ones(1)
    >>> mass = bounded_log_mass(z, z, 1e4 * one, 1.0, (-2.0 * one, 2.0 * one), least=0.1)  # flat: a bin of 1 in 4
    >>> round(float(mass.exp()), 4)
    0.25
    """
    family = DENSITIES[density]
    scale = deviation * family.scale_per_deviation
    low, high = bounds
    lower = torch.minimum(torch.maximum(z - width / 2, low), high - least)
    upper = torch.maximum(torch.minimum(z + width / 2, high), lower + least)
    part, whole = (
        family.log_mass((a - mean) / scale, (b - mean) / scale, (b - a) / scale)
        for a, b in ((lower, upper), (low, high))
    )
    return part - whole


@dataclass(frozen=True)
class Density:
    """A symmetric density in units of its own scale."""

    scale_per_deviation: float
    log_mass: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
    """Log of the mass in [a, b], from a, b and their distance, since b - a would lose digits."""
    quantile: Callable[[torch.Tensor], torch.Tensor]
    """Inverse of the distribution function, for sampling."""


def _logistic_log_mass(a: torch.Tensor, b: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """S(b) - S(a) = S(b) S(-a) (1 - exp(a - b))."""
    return F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(-torch.expm1(-length))


def _gaussian_log_mass(a: torch.Tensor, b: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """From the nearer tail: log(Phi(b) - Phi(a)) = log Phi(b) + log(1 - Phi(a) / Phi(b)) with a + b <= 0."""
    mirrored = a + b > 0
    a, b = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    high, low = torch.special.log_ndtr(b), torch.special.log_ndtr(a)
    return high + torch.log(-torch.expm1(low - high))


DENSITIES = {
    "logistic": Density(LOGISTIC_SCALE_PER_DEVIATION, _logistic_log_mass, torch.logit),
    "gaussian": Density(1.0, _gaussian_log_mass, torch.special.ndtri),
}
"""The base densities by name; files are coded with the logistic one."""
