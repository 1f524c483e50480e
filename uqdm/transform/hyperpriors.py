"""The transforms of three architectures, with the names of tensors that CompressAI's checkpoints have.

==========================  ===================================================================================
``bmshj2018-factorized``    analysis and synthesis alone (Balle, Minnen, Singh, Hwang & Johnston, ICLR 2018)
``bmshj2018-hyperprior``    and a hyperprior of deviations (the same paper)
``mbt2018-mean``            and a hyperprior of means and deviations (Minnen, Balle & Toderici, NeurIPS 2018,
                            without its context model)
==========================  ===================================================================================

N is the number of channels inside of a transform, M that of the latents.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from uqdm.transform.contract import Transforms

FACTORIZED, SCALE, MEAN_SCALE = "bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean"

_PEDESTAL = 2.0**-36
_BETA_MIN = 1e-6


class GDN(nn.Module):
    """Generalized divisive normalization (Balle, Laparra & Simoncelli 2016), or its approximate inverse.

    y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2); the inverse multiplies. Tensors hold square roots:
    beta = max(stored, sqrt(1e-6 + 2^-36))^2 - 2^-36, and gamma the same without the 1e-6.
    """

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter((torch.ones(channels) + _PEDESTAL).sqrt())
        self.gamma = nn.Parameter((0.1 * torch.eye(channels) + _PEDESTAL).sqrt())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [B, C, H, W]; the same shape."""
        beta = self.beta.clamp(min=(_BETA_MIN + _PEDESTAL) ** 0.5) ** 2 - _PEDESTAL
        gamma = self.gamma.clamp(min=_PEDESTAL**0.5) ** 2 - _PEDESTAL
        power = functional.conv2d(x * x, gamma[:, :, None, None], beta)
        return x * (power.sqrt() if self.inverse else power.rsqrt())


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)


def _same(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


@dataclass(frozen=True)
class Shape:
    """Architecture and channels of a model."""

    architecture: str
    n: int
    m: int


class HyperpriorTransforms(Transforms):
    """The transforms of a model, of one rate; ``h_a`` and ``h_s`` are empty without a hyperprior."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        n, m = shape.n, shape.m
        self.shape, self.architecture = shape, shape.architecture
        self.channels, self.side_channels = m, 0 if shape.architecture == FACTORIZED else n
        self.latent_stride, self.stride = 16, 16 if shape.architecture == FACTORIZED else 64
        self.sections, self.has_means, self.n_levels = (m,), shape.architecture == MEAN_SCALE, 1
        self.g_a = nn.Sequential(_down(3, n), GDN(n), _down(n, n), GDN(n), _down(n, n), GDN(n), _down(n, m))
        inverse = [GDN(n, inverse=True) for _ in range(3)]
        self.g_s = nn.Sequential(_up(m, n), inverse[0], _up(n, n), inverse[1], _up(n, n), inverse[2], _up(n, 3))
        if shape.architecture == SCALE:
            self.h_a = nn.Sequential(_same(m, n), nn.ReLU(), _down(n, n), nn.ReLU(), _down(n, n))
            self.h_s = nn.Sequential(_up(n, n), nn.ReLU(), _up(n, n), nn.ReLU(), _same(n, m), nn.ReLU())
        elif shape.architecture == MEAN_SCALE:
            wide = m * 3 // 2
            self.h_a = nn.Sequential(_same(m, n), nn.LeakyReLU(), _down(n, n), nn.LeakyReLU(), _down(n, n))
            self.h_s = nn.Sequential(_up(n, m), nn.LeakyReLU(), _up(m, wide), nn.LeakyReLU(), _same(wide, 2 * m))

    def analysis(self, image: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.analysis`."""
        found: torch.Tensor = self.g_a(image)
        return found

    def synthesis(self, latents: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.synthesis`."""
        found: torch.Tensor = self.g_s(latents)
        return found

    def hyper_analysis(self, latents: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.hyper_analysis`."""
        found: torch.Tensor = self.h_a(latents.abs() if self.architecture == SCALE else latents)
        return found

    def features(self, side: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.features`."""
        found: torch.Tensor = self.h_s(side)
        return found

    def section(
        self, index: int, features: torch.Tensor, earlier: torch.Tensor, level: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`Transforms.section`; means are 0 where the hyperprior has deviations alone."""
        if self.architecture == SCALE:
            return torch.zeros_like(features), features
        deviations, means = features.chunk(2, 1)
        return means, deviations
