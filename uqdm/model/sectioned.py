"""A network for each step whose density of a coordinate depends on coordinates already decoded in the step.

Each of the 12 coordinates of a 2x2 block of pixels is a section, the same in every block: first the upper left pixels
of all blocks, then the lower right ones (together a checkerboard), then the other two; within a pixel green, red,
blue. A trunk processes z_t once per step. From its features and the decoded coordinates of nearby blocks, as residuals
against x_hat, a small head for each section predicts mean and deviation. This extends the paper, whose coordinates
are independent given z_t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from uqdm.model.denoiser import Denoiser, Opened, Prediction, zero
from uqdm.model.schedule import Schedule, Step
from uqdm.model.stepwise import SIGMA_DATA, DilatedBlock, base_deviation
from uqdm.text import counted

BLOCK = 2  # pixels a side
POSITIONS = (0, 3, 1, 2)  # of a block's pixels, row by row, in the order of coding
CHANNELS = (1, 0, 2)
N_SECTIONS = len(POSITIONS) * len(CHANNELS)
ORDER = tuple(channel * BLOCK**2 + position for position in POSITIONS for channel in CHANNELS)
"""Channel of each section among the 12 channels of ``pixel_unshuffle``."""
WIDEST = 1.0  # log of the largest deviation, in base units: a flat bounded density has no gradient
NARROWEST = -8.0


class Trunk(nn.Module):
    """From z_t at full resolution to features of each block of pixels, and a residual of x_hat.

    Residual blocks at full resolution with the given dilations; after the first, ``inner`` blocks of twice the width at
    half resolution, for a larger receptive field. The input has ``channels`` channels.
    """

    def __init__(self, width: int, dilations: Sequence[int], inner: Sequence[int] = (), channels: int = len(CHANNELS)):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.first = DilatedBlock(width, dilations[0])
        self.inner = nn.ModuleList()
        if inner:
            down = nn.Conv2d(width, 2 * width, BLOCK, stride=BLOCK)
            up = zero(nn.Conv2d(2 * width, BLOCK**2 * width, 1))
            self.inner.extend([down, *(DilatedBlock(2 * width, dilation) for dilation in inner), up])
        self.rest = nn.Sequential(*(DilatedBlock(width, dilation) for dilation in dilations[1:]))
        self.conv_out = zero(nn.Conv2d(width, len(CHANNELS), 3, padding=1))

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps [B, channels, H, W] to features [B, 4 width, H/2, W/2] and a residual [B, 3, H, W]."""
        h = self._hidden(z)
        return F.pixel_unshuffle(h, BLOCK), self.conv_out(h)

    def features(self, z: torch.Tensor) -> torch.Tensor:
        """The features alone, where the residual is not used."""
        return F.pixel_unshuffle(self._hidden(z), BLOCK)

    def _hidden(self, z: torch.Tensor) -> torch.Tensor:
        h = self.first(self.conv_in(z))
        if self.inner:
            inside = h
            for layer in self.inner:
                inside = layer(inside)
            h = h + F.pixel_shuffle(inside, BLOCK)
        return F.relu(self.rest(h))


class Heads(nn.Module):
    """The heads of all sections: features of the trunk and decoded residuals to (mean, log of the deviation).

    All heads are one grouped network. Their convolution over the residuals is one over all 12 sections, whose weights
    from a section to heads of itself and of those before it are kept at zero.
    """

    mask: torch.Tensor

    def __init__(self, n_features: int, hidden: int, kernel: int):
        super().__init__()
        self.hidden, self.kernel = hidden, kernel
        total = N_SECTIONS * hidden
        self.features = nn.Conv2d(n_features, total, 1)
        decoded = torch.empty(total, N_SECTIONS, kernel, kernel)
        if not decoded.is_meta:  # shapes alone; arithmetic on them would import torch's compiler, which takes seconds
            decoded.normal_().div_(2.5 * kernel)
        self.decoded = nn.Parameter(decoded)
        self.middle = nn.Conv2d(total, total, 1, groups=N_SECTIONS)
        self.out = zero(nn.Conv2d(total, 2 * N_SECTIONS, 1, groups=N_SECTIONS))
        before = np.tril(np.ones((N_SECTIONS, N_SECTIONS), np.float32), -1).repeat(hidden, 0)
        mask = torch.from_numpy(before[:, :, None, None]).to(decoded.device)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, features: torch.Tensor, residuals: torch.Tensor) -> torch.Tensor:
        """From the features and residuals [B, 12, H, W] in order of coding to [B, 24, H, W], in pairs."""
        h = features + F.conv2d(residuals, self.decoded * self.mask, padding=self.kernel // 2)
        return self.out(F.relu(self.middle(F.relu(h))))

    def one(self, index: int, features: torch.Tensor, residuals: torch.Tensor) -> torch.Tensor:
        """The head of one section alone, [B, 2, H, W], from the residuals [B, index, H, W] before it."""
        of = slice(index * self.hidden, (index + 1) * self.hidden)
        h = features[:, of]
        if index > 0:
            h = h + F.conv2d(residuals, self.decoded[of, :index], padding=self.kernel // 2)
        h = F.relu(_part(self.middle, of, F.relu(h)))
        return _part(self.out, slice(2 * index, 2 * index + 2), h)


def _part(layer: nn.Module, of: slice, x: torch.Tensor) -> torch.Tensor:
    """The group of a grouped convolution that computes the outputs ``of``."""
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return F.conv2d(x, layer.weight[of], layer.bias[of])


class SectionedNetwork(nn.Module):
    """Trunk and heads of one step."""

    def __init__(self, width: int, dilations: Sequence[int], hidden: int, kernel: int = 3, inner: Sequence[int] = ()):
        super().__init__()
        self.trunk = Trunk(width, dilations, inner)
        self.heads = Heads(BLOCK**2 * width, hidden, kernel)


class SectionedDenoiser(Denoiser):
    """A constant for step 0, and a :class:`SectionedNetwork` for each further step.

    ``networks`` has the options of the network of each of the steps 1..T-1. Height and width must be even.
    """

    def __init__(self, schedule: Schedule, *, networks: Sequence[Mapping[str, Any]], bounded: bool = True):
        super().__init__()
        if len(networks) != schedule.n_steps - 1:
            raise ValueError(
                f"{counted(schedule.n_steps, 'step')} need {counted(schedule.n_steps - 1, 'network')}, "
                f"not {len(networks)}"
            )
        self.bounded = bounded
        self.mean = nn.Parameter(torch.zeros(len(CHANNELS)))
        self.log_factor = nn.Parameter(torch.zeros(len(CHANNELS)))
        self.networks = nn.ModuleList(SectionedNetwork(**options) for options in networks)

    def needs_input(self, step: Step) -> bool:
        """Step 0 is a constant."""
        return step.index > 0

    def n_sections(self, step: Step) -> int:
        """Number of sections: 1 at step 0, else 12."""
        return N_SECTIONS if step.index > 0 else 1

    def section_of(self, step: Step, channels: int, height: int, width: int) -> torch.Tensor:
        """See :meth:`uqdm.model.denoiser.Denoiser.section_of`."""
        if step.index == 0:
            return super().section_of(step, channels, height, width)
        section = torch.empty(N_SECTIONS, dtype=torch.int64)
        section[list(ORDER)] = torch.arange(N_SECTIONS)
        return section.reshape(channels, BLOCK, BLOCK).repeat(1, height // BLOCK, width // BLOCK)

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """The estimate of the data, with the deviation of the best linear estimate; not used for coding."""
        if step.index == 0:
            return self._constant(z_t, step)
        return Prediction(self.begin(z_t, step).x_hat, torch.full_like(z_t, base_deviation(step), dtype=torch.float64))

    def begin(self, z_t: torch.Tensor, step: Step) -> Opened:
        """Features are those of the heads' first layer, for all sections."""
        if step.index == 0:
            constant = self._constant(z_t, step)
            return Opened(constant.x_hat, (constant.scale,))
        network = self._network(step)
        noise, total = _noise(step)
        # In the units of Karras et al. 2022 (Table 1): noisy data y = z / alpha with noise sd / SIGMA_DATA.
        features, residual = network.trunk(z_t.to(self.mean.dtype) / step.alpha_t / total)
        # float64 from here on: rounding x_hat to float32 would add errors of the size of the network's own.
        x_hat = SIGMA_DATA**2 / total**2 / step.alpha_t * z_t.double() + noise * SIGMA_DATA / total * residual.double()
        return Opened(x_hat, (network.heads.features(features),))

    def condition(self, opened: Opened, z_t: torch.Tensor, z_s: torch.Tensor, index: int, step: Step) -> Prediction:
        """See :meth:`uqdm.model.denoiser.Denoiser.condition`."""
        if step.index == 0:
            return Prediction(opened.x_hat, opened.features[0])
        # Only these coordinates of z_s are used; others may have any value.
        known = by_section(self._residuals(opened, z_t, z_s, step))[:, :index]
        out = self._network(step).heads.one(index, opened.features[0], known.to(self.mean.dtype))
        shift, scale = (
            values.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
            for values in _in_data_units(out[:, :1], out[:, 1:], step)
        )
        return Prediction(opened.x_hat.detach() + shift, scale.expand_as(opened.x_hat))

    def open_all(self, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> tuple[Opened, Prediction]:
        """See :meth:`uqdm.model.denoiser.Denoiser.open_all`; all heads at once."""
        opened = self.begin(z_t, step)
        if step.index == 0:
            return opened, Prediction(opened.x_hat, opened.features[0])
        residuals = by_section(self._residuals(opened, z_t, z_s, step)).to(self.mean.dtype)
        out = self._network(step).heads(opened.features[0], residuals)
        shift, scale = _in_data_units(to_pixels(out[:, ::2]), to_pixels(out[:, 1::2]), step)
        return opened, Prediction(opened.x_hat.detach() + shift, scale)

    def _residuals(self, opened: Opened, z_t: torch.Tensor, z_s: torch.Tensor, step: Step) -> torch.Tensor:
        """The estimate of x from z_s minus x_hat, in units of the base deviation; without gradient to x_hat."""
        told = (z_s.double() - step.z_weight * z_t.double()) / step.x_weight
        return (told - opened.x_hat.detach()) / _error(step)

    def _network(self, step: Step) -> SectionedNetwork:
        network = self.networks[step.index - 1]
        assert isinstance(network, SectionedNetwork)
        return network

    def _constant(self, z_t: torch.Tensor, step: Step) -> Prediction:
        scale = base_deviation(step) * self.log_factor.exp()
        return Prediction(*(values[None, :, None, None].expand_as(z_t) for values in (self.mean, scale)))


def _noise(step: Step) -> tuple[float, float]:
    """Deviation of the noise of z_t / alpha_t, and of z_t / alpha_t itself."""
    noise = step.sigma_t / step.alpha_t
    return noise, math.sqrt(SIGMA_DATA**2 + noise**2)


def _error(step: Step) -> float:
    """Deviation of the error of the best linear estimate of white data from z_t."""
    noise, total = _noise(step)
    return noise * SIGMA_DATA / total


def by_section(values: torch.Tensor) -> torch.Tensor:
    """[B, 3, H, W] to [B, 12, H/2, W/2] in the order of coding."""
    return F.pixel_unshuffle(values, BLOCK)[:, list(ORDER)]


def to_pixels(values: torch.Tensor) -> torch.Tensor:
    """Inverse of :func:`_by_section`."""
    place = sorted(range(N_SECTIONS), key=lambda section: ORDER[section])
    return F.pixel_shuffle(values[:, place], BLOCK)


def _in_data_units(mean: torch.Tensor, log_factor: torch.Tensor, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
    """From a head's outputs, in units of the base deviation, to the error of x_hat and the deviation; float64."""
    log_scale = (WIDEST - F.softplus(WIDEST - log_factor.double())).clamp_min(NARROWEST)
    return _error(step) * mean.double(), base_deviation(step) * log_scale.exp()
