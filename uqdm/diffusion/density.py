"""The base density g of the reverse process, and the mass it gives to a quantization bin.

It is a logistic or, as the paper's other choice (eqs. 6 and 7, Yang et al. 2025), a Gaussian.

p(z_s | z_t) is g convolved with the uniform noise of the step (eq. 9, Yang et al. 2025). At a point z of a lattice
of spacing ``width`` its density times the width is the mass of g in the bin around z: what a symbol costs.
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
    """Log (nats) of the mass of g in [z - width/2, z + width/2]; exact in both tails.

    ``density`` is one of :data:`DENSITIES`, which are given by their deviation.

    >>> mass = bin_log_mass(torch.zeros(1), torch.zeros(1), torch.ones(1), width=100.0)
    >>> float(mass.exp())
    1.0
    """
    family = DENSITIES[density]
    scale = deviation * family.scale_per_deviation
    return family.log_mass((z - mean) / scale, 0.5 * width / scale)


@dataclass(frozen=True)
class Density:
    """A symmetric density in units of its own scale."""

    scale_per_deviation: float
    log_mass: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """Log of the mass in [centre - half, centre + half]."""
    quantile: Callable[[torch.Tensor], torch.Tensor]
    """Inverse of the distribution function, for sampling."""


def _logistic_log_mass(centre: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """With a < b the ends of the bin, S(b) - S(a) = S(b) S(-a) (1 - exp(a - b))."""
    return F.logsigmoid(centre + half) + F.logsigmoid(half - centre) + torch.log(-torch.expm1(-2 * half))


def _gaussian_log_mass(centre: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """Seen from the nearer tail: log(Phi(b) - Phi(a)) = log Phi(b) + log(1 - Phi(a) / Phi(b)) with a + b <= 0."""
    near = -centre.abs()
    high, low = torch.special.log_ndtr(near + half), torch.special.log_ndtr(near - half)
    return high + torch.log(-torch.expm1(low - high))


DENSITIES = {
    "logistic": Density(LOGISTIC_SCALE_PER_DEVIATION, _logistic_log_mass, torch.logit),
    "gaussian": Density(1.0, _gaussian_log_mass, torch.special.ndtri),
}
"""The base densities by name; files are coded with the logistic one."""
