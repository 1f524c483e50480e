"""A network for all noise levels at several resolutions, small enough for a processor.

Residual blocks at full, half, quarter ... resolution, conditioned on the noise level by a scale and a shift of each
channel; attention over all positions of the lowest resolution. The output is scaled as in Karras et al. (2022), so the
network needs no norms. It serves any schedule, and with inputs beside the latent the second stages of
:mod:`uqdm.refine`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from uqdm.model.denoiser import Denoiser, Prediction, square_root, zero
from uqdm.model.schedule import Step
from uqdm.model.stepwise import SIGMA_DATA

N_FREQUENCIES = 6
LEAST_LOG_ERROR = -8.0
MOST_LOG_ERROR = 3.0


class ConditionedBlock(nn.Module):
    """x + conv(f(scale * conv(f(x)) + shift)), with scale and shift from an embedding; it starts as identity.

    f is relu, or with ``leak`` its leaky form, whose slope is ``leak`` below 0.
    """

    def __init__(self, width: int, embedding: int, leak: float = 0.0):
        super().__init__()
        self.leak = leak
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = zero(nn.Conv2d(width, width, 3, padding=1))
        self.modulation = zero(nn.Linear(embedding, 2 * width))

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Maps x [B, width, H, W] and an embedding [1 or B, E] to the shape of x."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = torch.addcmul(shift, self.conv1(_activation(x, self.leak)), 1 + scale)
        return x + self.conv2(_activation(h, self.leak))


class PositionAttention(nn.Module):
    """Attention of one head over all positions, added to the input; it starts as identity."""

    def __init__(self, width: int):
        super().__init__()
        self.queries_keys_values = nn.Conv2d(width, 3 * width, 1)
        self.out = zero(nn.Conv2d(width, width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [B, width, H, W] to the same shape."""
        q, k, v = self.queries_keys_values(x).flatten(2).transpose(1, 2).chunk(3, dim=2)  # each (B, HW, width)
        found = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(found.transpose(1, 2).unflatten(2, x.shape[2:]))


class MultiscaleNetwork(nn.Module):
    """From [B, inputs, H, W] and ``numbers`` numbers a sample to [B, outputs, H, W].

    ``widths`` are the channels of each resolution, from the full one down, each half the one before. ``blocks`` are
    the numbers of blocks of each resolution on the way down; on the way up there are as many, and one more at the full
    one. H and W must be multiples of ``2 ** (len(widths) - 1)``. Without ``attention`` the network is convolutional:
    inputs more than :attr:`reach` pixels away have no effect. With a ``leak`` above 0 no part of the network can fall
    silent at some of the numbers for good, as relu can.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        embedding: int,
        numbers: int = 1,
        *,
        attention: bool = True,
        leak: float = 0.0,
    ):
        super().__init__()
        self.leak = leak
        self.embed = nn.Sequential(
            nn.Linear(numbers * (1 + 2 * N_FREQUENCIES), embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
        )
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.down_blocks = nn.ModuleList(_row(w, n, embedding, leak) for w, n in zip(widths, blocks, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(wide, narrow, 2, stride=2) for wide, narrow in pairs)
        self.attention = PositionAttention(widths[-1]) if attention else nn.Identity()
        counts = [n + (index == 0) for index, n in enumerate(blocks)]
        self._n_blocks = [down + up for down, up in zip(blocks, counts, strict=True)]
        self.up_blocks = nn.ModuleList(_row(w, n, embedding, leak) for w, n in zip(widths, counts, strict=True))
        self.up = nn.ModuleList(nn.Conv2d(narrow, 4 * wide, 1) for wide, narrow in pairs)
        self.conv_out = zero(nn.Conv2d(widths[0], outputs, 3, padding=1))

    @property
    def reach(self) -> int:
        """Distance in pixels, at most, of inputs that an output depends on, if there is no attention."""
        of_blocks = sum(2 * n << level for level, n in enumerate(self._n_blocks))
        return 2 + of_blocks + (2 << len(self.down))  # both ends, and the cells of the resolutions

    def forward(self, x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """``numbers`` [1 or B, numbers], each about in [-1, 1], tell such things as how noisy the input is."""
        embedding = self.embed(_waves(numbers))
        h, skips = self.conv_in(x), []
        for index, row in enumerate(self.down_blocks):
            h = self.down[index - 1](h) if index else h
            h = row(h, embedding)
            skips.append(h)
        h = self.attention(h)
        for index in reversed(range(len(self.up_blocks))):
            if index < len(self.up):
                h = skips[index] + F.pixel_shuffle(self.up[index](h), 2)
            h = self.up_blocks[index](h, embedding)
        return self.conv_out(_activation(h, self.leak))


class MultiscaleDenoiser(Denoiser):
    """A :class:`MultiscaleNetwork` as a denoiser, for any schedule.

    With ``learned_scale`` it estimates the deviation of x around x_hat as well. The deviation of p(z_s | z_t) is then
    the one that matches the variance, sqrt(posterior_sd^2 + (x_weight deviation)^2), at any number of steps; without
    it, it is ``posterior_sd``, as in Kingma et al. (2021).
    """

    learns_schedule = mixes_steps = any_schedule = True

    def __init__(
        self,
        *,
        widths: Sequence[int],
        blocks: Sequence[int],
        embedding: int = 64,
        channels: int = 3,
        learned_scale: bool = True,
        gamma_min: float = -12.3,
        gamma_max: float = 6.0,
    ):
        super().__init__()
        self.channels, self.learned_scale = channels, learned_scale
        self.gamma_min, self.gamma_max = gamma_min, gamma_max
        self.size_unit = 2 ** (len(widths) - 1)
        outputs = channels * (2 if learned_scale else 1)
        self.network = MultiscaleNetwork(channels, outputs, widths, blocks, embedding)

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """See :meth:`uqdm.model.denoiser.Denoiser.forward`."""
        # In the units of Karras et al. 2022 (Table 1): noisy data y = z / alpha with noise sd / SIGMA_DATA.
        noise = step.sigma_t / step.alpha_t
        total = square_root(SIGMA_DATA**2 + noise**2)
        weights = self.network.conv_in.weight
        out = self.network((z_t / step.alpha_t / total).to(weights), self._level(step.gamma_t).to(weights)).double()
        c_skip, c_out = SIGMA_DATA**2 / total**2, noise * SIGMA_DATA / total
        x_hat = c_skip / step.alpha_t * z_t.double() + c_out * out[:, : self.channels]
        if not self.learned_scale:
            return Prediction(x_hat, step.posterior_sd * torch.ones_like(x_hat))
        log_error = out[:, self.channels :].clamp(LEAST_LOG_ERROR, MOST_LOG_ERROR)
        error = step.x_weight * c_out * log_error.exp()
        return Prediction(x_hat, torch.hypot(error, step.posterior_sd * torch.ones_like(error)))

    def _level(self, gamma_t: float | torch.Tensor) -> torch.Tensor:
        """gamma scaled to [-1, 1] by the constants of the configuration, [1 or B, 1]."""
        gamma = torch.as_tensor(gamma_t, dtype=torch.float32).reshape(-1, 1)
        return 2 * (gamma - self.gamma_min) / (self.gamma_max - self.gamma_min) - 1


class _Row(nn.ModuleList):
    """Blocks one after the other."""

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        for block in self:
            x = block(x, embedding)
        return x


def _row(width: int, n: int, embedding: int, leak: float) -> _Row:
    return _Row(ConditionedBlock(width, embedding, leak) for _ in range(n))


def _activation(x: torch.Tensor, leak: float) -> torch.Tensor:
    return F.leaky_relu(x, leak) if leak else F.relu(x)


def _waves(numbers: torch.Tensor) -> torch.Tensor:
    """[B, N] to [B, 13 N]: the numbers, and sine and cosine of pi / 2 times their multiples by powers of two."""
    frequencies = math.pi / 2 * 2.0 ** torch.arange(N_FREQUENCIES, dtype=numbers.dtype, device=numbers.device)
    angles = (numbers[:, :, None] * frequencies).flatten(1)
    return torch.cat([numbers, angles.sin(), angles.cos()], dim=1)
