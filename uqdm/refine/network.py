"""The network of a second stage: the velocity of a conditional flow from noise to the scaled residual of an image.

The residual is r = (x - base) / scale, where ``base`` is the decoded picture (or 0, for a network that sees latents)
and ``scale`` about the deviation of x - base at the file's rate. The flow goes along r_t = (1 - t) n + t r, from
n ~ N(0, 1) at t = 0 to r at t = 1 (Lipman et al. 2023; Liu, Gong & Liu 2023), and the network estimates its velocity
r - n given r_t, the condition and the rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from uqdm.model.multiscale import MultiscaleNetwork

CHANNELS = 3
_OCTAVES = 5.0
"""Rates from 2^-5 to 2^5 bits per pixel are numbers from -1 to 1."""
Knots = Sequence[tuple[float, float]]


class RefineNetwork(nn.Module):
    """A :class:`uqdm.model.multiscale.MultiscaleNetwork` without attention that sees r_t and the condition.

    With ``latent_channels`` the condition is latents on a grid of cells of ``latent_stride`` pixels, which a learned
    transposed convolution turns into ``features`` channels; otherwise it is the decoded picture. ``knots`` are pairs of
    log2 of the bits per pixel and the residual's scale, linear in between and constant outside.
    """

    def __init__(
        self,
        knots: Knots,
        *,
        widths: Sequence[int],
        blocks: Sequence[int],
        embedding: int = 64,
        latent_channels: int = 0,
        latent_stride: int = 8,
        features: int = 12,
        leak: float = 0.0,
    ):
        super().__init__()
        self.knots = [(float(rate), float(scale)) for rate, scale in knots]
        self.latent_channels = latent_channels
        self.n_halvings = len(widths) - 1
        given = CHANNELS
        if latent_channels:
            self.latent_synthesis = nn.ConvTranspose2d(latent_channels, features, latent_stride, stride=latent_stride)
            given = features
        self.network = MultiscaleNetwork(
            CHANNELS + given, CHANNELS, widths, blocks, embedding, 2, attention=False, leak=leak
        )

    def scale(self, log2_bpp: torch.Tensor) -> torch.Tensor:
        """Scale of the residual at a rate [B], as [B, 1, 1, 1]."""
        columns = zip(*self.knots, strict=True)
        rates, scales = (torch.tensor(one, dtype=log2_bpp.dtype, device=log2_bpp.device) for one in columns)
        at = torch.searchsorted(rates, log2_bpp.contiguous()).clamp(1, max(1, len(rates) - 1))
        if len(rates) == 1:
            return scales.expand(len(log2_bpp))[:, None, None, None]
        low, high = rates[at - 1], rates[at]
        share = ((log2_bpp - low) / (high - low)).clamp(0, 1)
        return (scales[at - 1] + share * (scales[at] - scales[at - 1]))[:, None, None, None]

    def given(self, condition: torch.Tensor) -> torch.Tensor:
        """The condition as channels of pixels: the picture itself, in [-1, 1], or features of latents."""
        found: torch.Tensor = self.latent_synthesis(condition) if self.latent_channels else condition
        return found

    def base(self, condition: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """The picture to which the residual is added: the decoded one, or 0."""
        return torch.zeros_like(like) if self.latent_channels else condition

    def forward(self, r_t: torch.Tensor, t: torch.Tensor, given: torch.Tensor, log2_bpp: torch.Tensor) -> torch.Tensor:
        """Estimate of r - n, float [B, 3, H, W], for r_t [B, 3, H, W], t [B], :meth:`given` and the rate [B].

        At t = 0, where r_t is noise alone, the network sees 0 in its place: its estimate of r is then E[r | condition].
        """
        time = t[:, None, None, None]
        variance = time**2 + (1 - time) ** 2  # of r_t, if r has that of the noise
        seen = torch.where(time == 0, 0.0, 1.0) * r_t * variance.rsqrt()
        numbers = torch.stack([2 * t - 1, (log2_bpp / _OCTAVES).clamp(-1, 1)], dim=1)
        out = self.network(torch.cat([seen, given], dim=1), numbers)
        # The best linear estimate of r - n from r_t, plus the network's correction.
        return (2 * time - 1) / variance * r_t + variance.rsqrt() * out
