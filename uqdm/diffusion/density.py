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
    return F.logsigmoid(centre + half) + F.logsigmoid(half - centre) + torch.log(-torch.expm1(-2 * half))
