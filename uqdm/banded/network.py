"""Networks of the process: one for all band steps, on the grid of the blocks, and one for each of the late steps.

A band step is *opened* once: from the latents so far, a trunk on the grid of the 8 x 8 blocks estimates the
coefficients, and a network at half the resolution of the picture refines that across the borders of blocks. This
estimate x_hat is the picture after the latents, and the centre of the densities of the next step. These are
conditioned in six sections: the eight lowest frequencies of every other block, then of the blocks between them, then
24, 32, 64 and 64 higher ones. The late steps are conditioned in the 12 sections of :mod:`uqdm.model.sectioned`.

All values are in levels, with 0 in the middle of the range 0..255.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from uqdm.banded.schedule import BandSchedule
from uqdm.model.denoiser import zero
from uqdm.model.sectioned import Heads, Trunk, by_section, to_pixels
from uqdm.model.stepwise import DilatedBlock
from uqdm.transform.basis import BLOCK, block_functions

N_BANDS = 3 * BLOCK**2
BAND_SECTIONS = (8, 24, 32, 64, 64)
"""Frequencies of each section; the first are coded in two sections, as the fields of a chessboard."""
N_BAND_SECTIONS = len(BAND_SECTIONS) + 1
NEAR = 32
"""Frequencies whose decoded values are seen in the eight blocks around, too."""
_HALF = 2  # the ratio of the picture's resolution to that of its refinement
_PICTURE_UNIT = 64.0
_PICTURE_FEATURES = 16
_LOG_DEVIATION = (-6.0, 3.0)  # natural logarithm of a density's deviation over that of the linear estimate
LATE_DEVIATIONS = (8.0, 2.0)
"""Units of the outputs of the pixel step and of the last stage, in levels."""
_LATE_LOG_DEVIATION = (-7.0, 1.5)


@dataclass(frozen=True)
class BandState:
    """What is decoded of the bands: latents z [B, 192, h, w], 0 where nothing was sent, and the last step of each.

    ``done`` is int64: 0 where a coordinate was never sent, else the number of its last step, from 1 on.
    """

    z: torch.Tensor
    done: torch.Tensor

    @classmethod
    def empty(cls, like: torch.Tensor) -> BandState:
        """Before the first step."""
        return cls(torch.zeros_like(like), torch.zeros(like.shape, dtype=torch.int64, device=like.device))


@dataclass(frozen=True)
class OpenedBands:
    """What the networks make of a state, before the next step."""

    picture: torch.Tensor
    """x_hat [B, 3, H, W]."""
    features: torch.Tensor
    """Of the heads of all sections."""
    spread: torch.Tensor
    """Deviation of the linear estimate of each coefficient, [B, 192, h, w]: the unit of the heads' outputs."""


class BandNetwork(nn.Module):
    """The network of all band steps of a schedule; each number of steps done has factors for its channels.

    ``width`` and ``depth`` are those of the trunk, ``hidden`` the width of a section's head, ``refine`` and
    ``refine_depth`` those of the refinement of the picture.
    """

    basis: torch.Tensor
    noise: torch.Tensor

    def __init__(
        self,
        schedule: BandSchedule,
        *,
        width: int = 96,
        depth: int = 3,
        hidden: int = 64,
        refine: int = 32,
        refine_depth: int = 3,
    ):
        super().__init__()
        states = schedule.n_band_steps + 1
        self.register_buffer("basis", torch.from_numpy(block_functions(N_BANDS)), persistent=False)
        noise = torch.tensor([math.inf, *schedule.sigmas], dtype=torch.float64)
        self.register_buffer("noise", noise, persistent=False)
        # From NumPy: torch.arange on the device "meta", on which models are measured first, imports torch's compiler.
        frequencies = torch.from_numpy(np.arange(1, N_BANDS + 1, dtype=np.float32))
        self.log_deviation = nn.Parameter(6.4 - 0.9 * frequencies.log())
        self.mean = nn.Parameter(torch.zeros(3))
        self.begin = nn.Conv2d(2 * N_BANDS, width, 1)
        self.units = nn.ModuleList(_Unit(width, states) for _ in range(depth))
        self.end = zero(nn.Conv2d(width, N_BANDS, 1))
        self.lift = nn.Conv2d(width, _PICTURE_FEATURES * (BLOCK // _HALF) ** 2, 1)
        self.refine_begin = nn.Conv2d(3 * _HALF**2 + _PICTURE_FEATURES, refine, 3, padding=1)
        self.refine_units = nn.Sequential(*(DilatedBlock(refine, 1) for _ in range(refine_depth)))
        self.refine_factor = nn.Parameter(torch.ones(states, refine))
        self.refine_end = zero(nn.Conv2d(refine, 3 * _HALF**2, 3, padding=1))
        self.features = nn.Conv2d(width, N_BAND_SECTIONS * hidden, 1)
        self.heads = nn.ModuleList(_Head(*shape, hidden, states) for shape in _head_shapes())
        self.hidden = hidden

    def coefficients(self, picture: torch.Tensor) -> torch.Tensor:
        """Coefficients [B, 192, H/8, W/8] of pictures [B, 3, H, W]."""
        with _full_precision(picture):
            return F.conv2d(picture, self.basis.to(picture.dtype), stride=BLOCK)

    def pixels(self, coefficients: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`coefficients`."""
        with _full_precision(coefficients):
            return F.conv_transpose2d(coefficients, self.basis.to(coefficients.dtype), stride=BLOCK)

    def open(self, n_done: int, state: BandState) -> OpenedBands:
        """Calls the networks for a state after ``n_done`` steps."""
        z = state.z
        prior = self.log_deviation.to(z.dtype).exp()[:, None, None]
        noise = self.noise.to(z.dtype)[state.done]
        share = prior**2 / (prior**2 + noise**2)  # of the latent in the best linear estimate; 0 with infinite noise
        spread = prior * (1 - share).sqrt()
        h = self.begin(torch.cat([z / (prior**2 + noise**2).sqrt(), share], 1))
        for unit in self.units:
            h = unit(h, n_done)
        h = F.relu(h)
        estimate = self.pixels(share * z + spread * self.end(h))
        inside = F.pixel_shuffle(self.lift(h), BLOCK // _HALF)
        inside = torch.cat([F.pixel_unshuffle(estimate / _PICTURE_UNIT, _HALF), inside], 1)
        inside = F.relu(self.refine_units(self.refine_begin(inside))) * self.refine_factor[n_done][:, None, None]
        scale = float(self.noise[n_done]) if n_done else _PICTURE_UNIT
        picture = estimate + scale * F.pixel_shuffle(self.refine_end(inside), _HALF) + 8 * self.mean[:, None, None]
        return OpenedBands(picture, self.features(h), spread)

    def section(
        self, index: int, n_done: int, opened: OpenedBands, residuals: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean relative to x_hat's coefficients, and log of the deviation, [B, N, h, w], in units of ``spread``.

        ``residuals`` [B, M, h, w] are those of the frequencies that sections before this one hold, 0 where a coordinate
        is not sent or not decoded yet.
        """
        features = opened.features[:, index * self.hidden : (index + 1) * self.hidden]
        out = self.heads[index](features, residuals, n_done)
        mean, log_deviation = out.chunk(2, 1)
        return mean, log_deviation.clamp(*_LOG_DEVIATION)


def _full_precision(like: torch.Tensor) -> contextlib.AbstractContextManager[Any]:
    """Without autocast: bfloat16 would round coefficients by whole levels."""
    kind = like.device.type
    return contextlib.nullcontext() if kind == "meta" else torch.autocast(kind, enabled=False)


@functools.cache
def band_section(index: int, height: int, width: int) -> tuple[slice, torch.Tensor]:
    """Frequencies of a section, and the blocks that it has, bool [h, w].

    >>> band_section(1, 2, 2)[0], band_section(1, 2, 2)[1].tolist()
    (slice(0, 8, None), [[False, True], [True, False]])
    """
    if index < 2:
        with torch.inference_mode(False):  # it is kept, and training may use it later
            black = (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0
            white = ~black
        return slice(0, BAND_SECTIONS[0]), black if index == 0 else white
    start = sum(BAND_SECTIONS[: index - 1])
    with torch.inference_mode(False):
        return slice(start, start + BAND_SECTIONS[index - 1]), torch.ones(height, width, dtype=torch.bool)


def known_before(index: int) -> int:
    """Number of frequencies that sections before this one hold, in some of the blocks at least.

    >>> [known_before(index) for index in range(N_BAND_SECTIONS)]
    [0, 8, 8, 32, 64, 128]
    """
    return BAND_SECTIONS[0] if index == 1 else sum(BAND_SECTIONS[: max(index - 1, 0)])


def _head_shapes() -> Iterator[tuple[int, int]]:
    """Of each section, the frequencies that are known before it, and its own."""
    for index in range(N_BAND_SECTIONS):
        yield known_before(index), BAND_SECTIONS[max(index - 1, 0)]


class _Unit(nn.Module):
    """x plus a network that begins at 0; its hidden channels are multiplied by factors for the state."""

    def __init__(self, width: int, states: int):
        super().__init__()
        self.inner, self.outer = nn.Conv2d(width, width, 3, padding=1), zero(nn.Conv2d(width, width, 1))
        self.factor, self.shift = nn.Parameter(torch.ones(states, width)), nn.Parameter(torch.zeros(states, width))

    def forward(self, x: torch.Tensor, n_done: int) -> torch.Tensor:
        hidden = self.inner(F.relu(x)) * self.factor[n_done][:, None, None] + self.shift[n_done][:, None, None]
        out: torch.Tensor = x + self.outer(F.relu(hidden))
        return out


class _Head(nn.Module):
    """The head of a section, from ``known`` decoded frequencies to mean and log of the deviation of ``own``."""

    def __init__(self, known: int, own: int, hidden: int, states: int):
        super().__init__()
        self.n_near = min(known, NEAR)
        self.near = nn.Conv2d(self.n_near, hidden, 3, padding=1, bias=False) if known else None
        self.far = nn.Conv2d(known - NEAR, hidden, 1, bias=False) if known > NEAR else None
        self.middle, self.end = nn.Conv2d(hidden, hidden, 1), zero(nn.Conv2d(hidden, 2 * own, 1))
        self.factor, self.shift = nn.Parameter(torch.ones(states, hidden)), nn.Parameter(torch.zeros(states, hidden))

    def forward(self, features: torch.Tensor, residuals: torch.Tensor, n_done: int) -> torch.Tensor:
        h = features + self.shift[n_done][:, None, None]
        if self.near is not None:
            h = h + self.near(residuals[:, : self.n_near])
        if self.far is not None:
            h = h + self.far(residuals[:, NEAR:])
        h = F.relu(self.middle(F.relu(h))) * self.factor[n_done][:, None, None]
        out: torch.Tensor = self.end(h)
        return out


@dataclass(frozen=True)
class OpenedPixels:
    """What a network of a late step makes of all that is decoded before it."""

    x_hat: torch.Tensor
    """The centre of the densities [B, 3, H, W]; after the pixel step it is the picture, too."""
    features: torch.Tensor


class PixelNetwork(nn.Module):
    """The network of a late step: of the pixel step (``index`` 0), or of the last stage (1).

    Options are those of :class:`uqdm.model.sectioned.SectionedNetwork`.
    """

    def __init__(self, index: int, *, width: int = 32, dilations: Sequence[int] = (1, 2, 4, 1), hidden: int = 32):
        super().__init__()
        self.index, self.unit = index, LATE_DEVIATIONS[index]
        self.trunk = Trunk(width, dilations, channels=6 + 3 * index)
        self.heads = Heads(4 * width, hidden, 3)

    def open(self, inputs: Sequence[torch.Tensor], centre: torch.Tensor) -> OpenedPixels:
        """Calls the trunk for inputs [B, 3, H, W] each; ``centre`` is the estimate before it.

        The centre of the pixel step is that of the bands as it is, and the output layer of its trunk, which model
        folders hold, is not called. That of the last stage is corrected.
        """
        joined = torch.cat(list(inputs), 1)
        if self.index == 0:
            return OpenedPixels(centre, self.heads.features(self.trunk.features(joined)))
        features, residual = self.trunk(joined)
        return OpenedPixels(centre + self.unit * residual.to(centre.dtype), self.heads.features(features))

    def residuals(self, values: torch.Tensor, opened: OpenedPixels) -> torch.Tensor:
        """Decoded values [B, 3, H, W] minus the centre, in units of the network, by section [B, 12, H/2, W/2]."""
        return by_section((values - opened.x_hat.detach()) / self.unit)

    def section(self, index: int, opened: OpenedPixels, residuals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean relative to the centre, and log of the deviation, [B, 1, H/2, W/2], in the network's unit."""
        out = self.heads.one(index, opened.features, residuals[:, :index])
        return out[:, :1], out[:, 1:].clamp(*_LATE_LOG_DEVIATION)

    def all_sections(self, opened: OpenedPixels, residuals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log of the deviation of all sections, as pixels [B, 3, H, W]."""
        out = self.heads(opened.features, residuals)
        return to_pixels(out[:, ::2]), to_pixels(out[:, 1::2]).clamp(*_LATE_LOG_DEVIATION)


class BandedNetworks(nn.Module):
    """All networks of a model."""

    def __init__(
        self,
        schedule: BandSchedule,
        *,
        bands: Mapping[str, int] | None = None,
        late: Sequence[Mapping[str, Any]] = ({}, {}),
    ):
        super().__init__()
        self.schedule = schedule
        self.bands = BandNetwork(schedule, **(bands or {}))
        self.late = nn.ModuleList(PixelNetwork(index, **options) for index, options in enumerate(late))

    @property
    def late_networks(self) -> tuple[PixelNetwork, PixelNetwork]:
        """The networks of the pixel step and of the last stage."""
        pixel_step, last_stage = self.late
        assert isinstance(pixel_step, PixelNetwork)
        assert isinstance(last_stage, PixelNetwork)
        return pixel_step, last_stage

    def open_pixel_step(self, picture: torch.Tensor, misfit: torch.Tensor) -> OpenedPixels:
        """Opens the pixel step after all band steps, from their x_hat and :meth:`misfit`, [B, 3, H, W] each."""
        return self.late_networks[0].open([picture / _PICTURE_UNIT, misfit], picture)

    def open_last_stage(self, picture: torch.Tensor, misfit: torch.Tensor, z: torch.Tensor) -> OpenedPixels:
        """Opens the last stage; z [B, 3, H, W] is the middle of the levels that the pixel step leaves."""
        inputs = [picture / _PICTURE_UNIT, misfit, (z - picture) / self.schedule.pixel_width]
        return self.late_networks[1].open(inputs, z)

    def misfit(self, state: BandState, picture: torch.Tensor) -> torch.Tensor:
        """Latents minus x_hat where they were sent, as a picture [B, 3, H, W], in units of the last noise."""
        difference = torch.where(state.done > 0, state.z - self.bands.coefficients(picture), 0.0)
        return self.bands.pixels(difference) / self.schedule.sigmas[-1]
