"""Names of the choices that the diffusion process leaves: of reconstructions, deviations and first latents."""

from __future__ import annotations

DENOISE, ANCESTRAL, FLOW = "denoise", "ancestral", "flow"
RECONSTRUCTIONS = (DENOISE, ANCESTRAL, FLOW)
"""The reconstructions: the estimate x_hat; samples of the reverse process; the probability flow. In the Gaussian
process the last two are DiffC-A and DiffC-F (Theis et al. 2022)."""
DEVIATIONS = ("posterior", "matched", "predicted")
"""Choices of p's deviation in the Gaussian process; see :func:`uqdm.diffusion.gaussian.reverse`."""
OWN = "own"
"""In codecs: the deviation that fits a model's process, ``predicted`` for a Gaussian one, else ``matched``."""
STARTS = ("posterior", "prior")
"""Distributions of z_T: q(z_T | x), whose KL divergence is counted, or N(0, 1), which is free."""
