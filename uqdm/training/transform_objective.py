"""The training loss of transform coding: rate and weighted distortion, for levels of both kinds of quantization.

Rates are those of latents with uniform noise in place of quantization (Balle, Laparra & Simoncelli 2017), which are
exact for universal quantization (Agustsson & Theis 2020). For levels of rounding, synthesis and densities see rounded
values, whose gradient is taken as that of the identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from uqdm.training.contract import Batch, Objective, Rates
from uqdm.training.recipe import TrainingPlan
from uqdm.transform.blocks import BlockTransforms
from uqdm.transform.contract import MIN_DEVIATION
from uqdm.transform.model import ROUNDING, Level

_LEAST_MASS = 2.0**-20
"""Probabilities count as at least this, so that gradients stay finite; coders have no such limit."""


class TransformObjective(Objective):
    """L = mean of w (R + lambda D) over the samples, each at a level of its own.

    R is in bits per pixel, D the mean squared error of samples from 0 to 255, and w the weight of the sample's level.
    With ``autocast`` the networks compute in bfloat16 where torch allows it; rates are float32.
    """

    lambdas: torch.Tensor
    level_weights: torch.Tensor
    is_rounded: torch.Tensor

    def __init__(
        self,
        transforms: BlockTransforms,
        levels: Sequence[Level],
        level_weights: Sequence[float],
        *,
        autocast: bool = False,
    ):
        super().__init__()
        self.transforms, self.autocast = transforms, autocast
        self.register_buffer("lambdas", torch.tensor([level.weight for level in levels]), persistent=False)
        self.register_buffer("level_weights", torch.tensor(level_weights), persistent=False)
        rounded = [level.quantization == ROUNDING for level in levels]
        self.register_buffer("is_rounded", torch.tensor(rounded), persistent=False)

    @property
    def n_choices(self) -> int:
        """The levels."""
        return self.transforms.n_levels

    @property
    def rate_names(self) -> list[str]:
        """See :attr:`Objective.rate_names`."""
        return ["total", "side", "distortion"]

    def inputs(self, batch: Batch, plan: TrainingPlan, iteration: int, generator: torch.Generator) -> tuple[Any, ...]:
        """See :meth:`Objective.inputs`."""
        assert isinstance(batch.steps, np.ndarray)
        device, networks = generator.device, self.transforms
        x = torch.from_numpy(batch.samples).to(device).permute(0, 3, 1, 2).float() / 255
        noises = []
        for channels, stride in (
            (networks.channels, networks.latent_stride),
            (networks.side_channels, networks.stride),
        ):
            blank = torch.empty(batch.n, channels, x.shape[2] // stride, x.shape[3] // stride, device=device)
            noises.append(blank.uniform_(generator=generator)[batch.rows] - 0.5)
        return x, torch.from_numpy(batch.steps[batch.rows]).to(device), *noises

    def forward(
        self, x: torch.Tensor, level: torch.Tensor, noise: torch.Tensor, side_noise: torch.Tensor
    ) -> tuple[torch.Tensor, Rates]:
        """The loss of images [B, 3, H, W] from 0 to 1, with uniform noise for latents and side information."""
        rounded = self.is_rounded[level][:, None, None, None]

        def quantize(
            values: torch.Tensor, means: torch.Tensor, part: slice | None
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return _noisy(values, means, side_noise if part is None else noise[:, part], rounded)

        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            picture, latent_bits, side_bits = coded(self.transforms, x, level, quantize)
        torch.clear_autocast_cache()
        pixels = x.shape[2] * x.shape[3]
        rate = (latent_bits + side_bits) / pixels
        distortion = (255 * (picture.float() - x)).square().flatten(1).mean(1)
        loss = (self.level_weights[level] * (rate + self.lambdas[level] * distortion)).mean()
        parts = {"total": rate.mean(), "side": side_bits.mean() / pixels, "distortion": distortion.mean()}
        return loss, {name: value.detach() for name, value in parts.items()}

    def compile_networks(self) -> None:
        """See :meth:`Objective.compile_networks`."""
        self.transforms.compile()


Quantize = Callable[[torch.Tensor, torch.Tensor, slice | None], tuple[torch.Tensor, torch.Tensor]]
"""Quantizes values with given means; the slice is that of a section, None for side information.

Returns the values that decoders see, and those whose rate counts.
"""


def coded(
    networks: BlockTransforms, x: torch.Tensor, level: torch.Tensor, quantize: Quantize
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures, and bits of latents and of side information of each image."""
    y = networks.analysis(x, level).float()
    z = networks.hyper_analysis(y, level).float()
    tables = (networks.side_mean, networks.side_log_deviation)
    mean, log_deviation = (table[level][..., None, None] for table in tables)
    side, counted = quantize(z, mean.expand_as(z), None)
    side_bits = _bits(counted - mean, log_deviation.exp())
    features = networks.features(side, level)
    known, bits, start = y[:, :0], torch.zeros_like(side_bits), 0
    for index, count in enumerate(networks.sections):
        part = slice(start, start + count)
        means, deviations = (found.float() for found in networks.section(index, features, known, level))
        latents, counted = quantize(y[:, part], means, part)
        bits = bits + _bits(counted - means, deviations)
        known, start = torch.cat([known, latents], 1), start + count
    return networks.synthesis(known, level), bits, side_bits


def quantized(objective: TransformObjective, images_uint8: np.ndarray, index: int) -> tuple[np.ndarray, torch.Tensor]:
    """Pictures of images uint8 [N, H, W, 3] at a level, quantized as by coders, and the bits of each; for validation.

    Universal quantization has a dither from a seed of its own.
    """
    networks = objective.transforms
    device = objective.lambdas.device
    x = torch.from_numpy(images_uint8).to(device).permute(0, 3, 1, 2).float() / 255
    level = torch.full((len(x),), index, device=device)
    dither = torch.Generator(device).manual_seed(0)
    is_rounded = bool(objective.is_rounded[index])

    def quantize(values: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        u = torch.zeros_like(values) if is_rounded else torch.empty_like(values).uniform_(-0.5, 0.5, generator=dither)
        return (values - means - u).round() + means + u

    picture, latent_bits, side_bits = coded(networks, x, level, lambda v, m, _: (quantize(v, m),) * 2)
    levels = (255 * picture.clamp(0, 1)).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).cpu().numpy(), latent_bits + side_bits


def _noisy(
    values: torch.Tensor, means: torch.Tensor, noise: torch.Tensor, rounded: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The values that decoders see, and the noisy ones whose rate counts."""
    noisy, residual = values + noise, values - means
    through = values + (residual.round() - residual).detach()
    return torch.where(rounded, through, noisy), noisy


def _bits(residual: torch.Tensor, deviations: torch.Tensor) -> torch.Tensor:
    """-log2 of Phi((r + 1/2) / s) - Phi((r - 1/2) / s), summed over each sample."""
    s, r = deviations.clamp(min=MIN_DEVIATION), residual.abs()
    mass = torch.special.ndtr((0.5 - r) / s) - torch.special.ndtr((-0.5 - r) / s)
    return -mass.clamp(min=_LEAST_MASS).log().flatten(1).sum(1) / math.log(2)
