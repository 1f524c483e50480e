"""Network calls for many patches, in batches of bounded memory."""

from __future__ import annotations

import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.model.denoiser import Denoiser, Opened
from uqdm.model.schedule import Step

MAX_PATCHES = 1024  # in a batch of the network: points, or tiles of 8x8
_MAX_INPUTS = 1 << 18


def begin_in_batches(denoiser: Denoiser, z_t: torch.Tensor, step: Step) -> Opened:
    """:meth:`Denoiser.begin` for latents z_t [P, C, H, W], in float32 arithmetic and without gradients."""
    size = max(1, min(MAX_PATCHES, _MAX_INPUTS // z_t[0].numel()))
    with float32_arithmetic(), torch.inference_mode():
        parts = [denoiser.begin(part, step) for part in z_t.split(size)]
    features = zip(*(part.features for part in parts), strict=True)
    return Opened(torch.cat([part.x_hat for part in parts]), tuple(torch.cat(feature) for feature in features))
