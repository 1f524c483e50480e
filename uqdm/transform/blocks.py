"""A small architecture of many rates: an 8 x 8 block transform with residual networks, and sections of latents.

Analysis and synthesis begin as the orthonormal DCT of the blocks of three orthonormal colour channels; residual
networks on the grid of the blocks, and a network on the picture, correct them. Densities of the latents are normal.
Their means and deviations come from a hyperprior (Minnen, Balle & Toderici 2018) and from the sections decoded before,
lower frequencies first (Minnen & Singh 2020). Each level has gains for the latents and factors for the networks'
channels, so that one network serves all rates (Cui et al. 2021, "Asymmetric gained deep image compression").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from uqdm.transform.basis import BLOCK, block_functions
from uqdm.transform.contract import Transforms

BLOCKS = "blocks"
SECTIONS = (8, 24, 32, 64)
SIDE_DEVIATION = 0.3
"""Deviation of the side information before training."""
_LOG_DEVIATIONS = (-4.0, 8.0)


class BlockTransforms(Transforms):
    """The networks, for levels whose first quantization steps are ``steps``, relative to the range of an image.

    ``width`` is that of the residual networks, ``hyper_width`` that of the hyperprior and the sections, ``side`` the
    number of channels of the side information, and ``depths`` the numbers of residual units of analysis and synthesis.
    """

    def __init__(
        self,
        steps: Sequence[float],
        *,
        width: int = 96,
        hyper_width: int = 64,
        side: int = 24,
        refine: int = 32,
        sections: Sequence[int] = SECTIONS,
        depths: Sequence[int] = (2, 3),
    ) -> None:
        super().__init__()
        self.architecture, self.sections, self.has_means = BLOCKS, tuple(sections), True
        self.channels, self.side_channels, self.n_levels = sum(sections), side, len(steps)
        self.latent_stride, self.stride = BLOCK, 2 * BLOCK
        m, n, levels = self.channels, hyper_width, self.n_levels
        basis = torch.from_numpy(block_functions(m)).float()
        self.block_analysis = nn.Conv2d(3, m, BLOCK, stride=BLOCK, bias=False)
        self.block_synthesis = nn.ConvTranspose2d(m, 3, BLOCK, stride=BLOCK, bias=False)
        self.block_analysis.weight.data.copy_(basis)
        self.block_synthesis.weight.data.copy_(basis)
        self.analysis_residual = _Residual(m, width, depths[0], levels)
        self.synthesis_residual = _Residual(m, width, depths[1], levels)
        self.refinement = _Refinement(refine, levels)
        self.hyper_in, self.hyper_down = nn.Conv2d(m, n, 1), nn.Conv2d(n, n, 3, stride=2, padding=1)
        self.hyper_out = nn.Conv2d(n, side, 3, padding=1)
        self.features_in, self.features_up = nn.Conv2d(side, n, 3, padding=1), nn.ConvTranspose2d(n, n, 4, 2, 1)
        self.heads = nn.ModuleList(
            _Head(n, sum(sections[:index]), own, levels) for index, own in enumerate(self.sections)
        )
        self.log_gain = _table(levels, m, -torch.tensor(steps).log()[:, None])
        self.log_inverse = _table(levels, m, 0.0)
        self.side_log_gain = _table(levels, side, 0.0)
        self.hyper_factor, self.features_factor = _table(levels, n, 1.0), _table(levels, n, 1.0)
        self.log_deviation = _table(levels, m, 0.0)
        self.side_mean = _table(levels, side, 0.0)
        self.side_log_deviation = _table(levels, side, math.log(SIDE_DEVIATION))

    def without_gain(self, latents: torch.Tensor, level: int) -> torch.Tensor:
        """See :meth:`Transforms.without_gain`."""
        gain = (self.log_inverse[level] - self.log_gain[level]).cpu().exp()
        return latents * gain[:, None, None]

    def analysis(self, image: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.analysis`."""
        blocks = self.block_analysis(image - 0.5)
        return (blocks + self.analysis_residual(blocks, level)) * _at(self.log_gain, level).exp()

    def synthesis(self, latents: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.synthesis`."""
        blocks = latents * (_at(self.log_inverse, level) - _at(self.log_gain, level)).exp()
        picture = self.block_synthesis(blocks + self.synthesis_residual(blocks, level))
        return picture + self.refinement(picture, level) + 0.5

    def hyper_analysis(self, latents: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.hyper_analysis`."""
        blocks = latents * (-_at(self.log_gain, level)).exp()
        hidden = functional.leaky_relu(self.hyper_in(blocks)) * _at(self.hyper_factor, level)
        side = self.hyper_out(functional.leaky_relu(self.hyper_down(hidden)))
        return side * _at(self.side_log_gain, level).exp()

    def features(self, side: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """See :meth:`Transforms.features`."""
        given = side * (-_at(self.side_log_gain, level)).exp()
        hidden = functional.leaky_relu(self.features_in(given)) * _at(self.features_factor, level)
        return functional.leaky_relu(self.features_up(hidden))

    def section(
        self, index: int, features: torch.Tensor, earlier: torch.Tensor, level: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`Transforms.section`."""
        start = sum(self.sections[:index])
        end = start + self.sections[index]
        log_gain = _at(self.log_gain, level)
        known = earlier * (-log_gain[:, :start]).exp()
        means, logs = self.heads[index](features, known, level).chunk(2, 1)
        logs = (2 * logs + _at(self.log_deviation, level)[:, start:end]).clamp(*_LOG_DEVIATIONS)
        return means * log_gain[:, start:end].exp(), logs.exp()


class _Unit(nn.Module):
    """x plus a network that begins at 0, whose hidden channels are multiplied by a factor for the level."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Conv2d(width, width, 3, padding=1), _zero(nn.Conv2d(width, width, 1))
        self.factor = _table(levels, width, 1.0)

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        hidden = functional.leaky_relu(self.inner(functional.leaky_relu(x))) * _at(self.factor, level)
        out: torch.Tensor = x + self.outer(hidden)
        return out


class _Residual(nn.Module):
    """A correction of all coefficients on the grid of the blocks, 0 before training."""

    def __init__(self, channels: int, width: int, depth: int, levels: int) -> None:
        super().__init__()
        self.begin, self.end = nn.Conv2d(channels, width, 1), _zero(nn.Conv2d(width, channels, 1))
        self.units = nn.ModuleList(_Unit(width, levels) for _ in range(depth))

    def forward(self, blocks: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        hidden = self.begin(blocks)
        for unit in self.units:
            hidden = unit(hidden, level)
        out: torch.Tensor = self.end(functional.leaky_relu(hidden))
        return out


class _Refinement(nn.Module):
    """A correction of the picture across the borders of blocks, at half its resolution; 0 before training."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.begin, self.middle = nn.Conv2d(12, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.end, self.factor = _zero(nn.Conv2d(width, 12, 3, padding=1)), _table(levels, width, 1.0)

    def forward(self, picture: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        hidden = functional.leaky_relu(self.begin(functional.pixel_unshuffle(picture, 2)))
        hidden = functional.leaky_relu(self.middle(hidden)) * _at(self.factor, level)
        return functional.pixel_shuffle(self.end(hidden), 2)


class _Head(nn.Module):
    """Means and halves of logarithms of deviations of a section."""

    def __init__(self, width: int, earlier: int, own: int, levels: int) -> None:
        super().__init__()
        self.begin, self.middle = nn.Conv2d(width + earlier, width, 1), nn.Conv2d(width, width, 3, padding=1)
        self.end, self.factor = _zero(nn.Conv2d(width, 2 * own, 1)), _table(levels, width, 1.0)

    def forward(self, features: torch.Tensor, earlier: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        hidden = functional.leaky_relu(self.begin(torch.cat([features, earlier], 1)))
        out: torch.Tensor = self.end(functional.leaky_relu(self.middle(hidden)) * _at(self.factor, level))
        return out


def _table(levels: int, channels: int, value: float | torch.Tensor) -> nn.Parameter:
    return nn.Parameter(torch.zeros(levels, channels) + value)


def _at(table: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Rows of a table, [B, C, 1, 1]."""
    return table[level][..., None, None]


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
