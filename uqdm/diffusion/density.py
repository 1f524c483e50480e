"""The base density g of the reverse process, logistic, and the mass it gives to a quantization bin.

p(z_s | z_t) is g convolved with the uniform noise of the step (eq. 9, Yang et al. 2025). At a point z of a lattice
of spacing ``width`` its density times the width is the mass of g in the bin around z: what a symbol costs.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

LOGISTIC_SCALE_PER_DEVIATION = math.sqrt(3) / math.pi


def bin_log_mass(z: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor, width: float) -> torch.Tensor:
    """Log (nats) of the mass of a logistic in [z - width/2, z + width/2]; exact in both tails.

    With a < b the bin's ends in units of the logistic's scale, S(b) - S(a) = S(b) S(-a) (1 - exp(a - b)).

    >>> mass = bin_log_mass(torch.zeros(1), torch.zeros(1), torch.ones(1), width=100.0)
    >>> float(mass.exp())
    1.0
    """
    scale = deviation * LOGISTIC_SCALE_PER_DEVIATION
    centre = (z - mean) / scale
    half = 0.5 * width / scale
    return _log_mass(centre - half, centre + half, 2 * half)


def bounded_log_mass(
    z: torch.Tensor,
    mean: torch.Tensor,
    deviation: torch.Tensor,
    width: float,
    bounds: tuple[torch.Tensor, torch.Tensor],
    least: float,
) -> torch.Tensor:
    """As :func:`bin_log_mass`, of the logistic cut off outside ``bounds`` and normalized again.

    The part of the bin that lies within bounds is taken to be ``least`` wide at the least.

    >>> z, one = torch.zeros(1), torch.ones(1)
    >>> mass = bounded_log_mass(z, z, 1e4 * one, 1.0, (-2.0 * one, 2.0 * one), least=0.1)  # flat: a bin of 1 in 4
    >>> round(float(mass.exp()), 4)
    0.25
    """
    scale = deviation * LOGISTIC_SCALE_PER_DEVIATION
    low, high = bounds
    lower = torch.minimum(torch.maximum(z - width / 2, low), high - least)
    upper = torch.maximum(torch.minimum(z + width / 2, high), lower + least)
    part, whole = (
        _log_mass((a - mean) / scale, (b - mean) / scale, (b - a) / scale) for a, b in ((lower, upper), (low, high))
    )
    return part - whole


def _log_mass(a: torch.Tensor, b: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Log of S(b) - S(a) of the standard logistic; ``length`` is b - a > 0, which would lose digits here."""
    return F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(-torch.expm1(-length))
