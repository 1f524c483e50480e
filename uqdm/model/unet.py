"""The published network: a residual network at full resolution with skip connections and one attention block.

Module names follow the published checkpoints' keys (``net1.0.weight`` and so on), so that they load unchanged.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from uqdm.model.denoiser import Denoiser, Prediction, zero
from uqdm.model.schedule import Step

FOURIER_EXPONENTS = (5, 6)


def linear_double(x: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """Applies a layer to x in float64, for weights of any precision."""
    assert isinstance(layer, nn.Linear)
    return F.linear(x, layer.weight.double(), None if layer.bias is None else layer.bias.double())


def softplus_from_one(x: torch.Tensor) -> torch.Tensor:
    """softplus shifted so that 0 gives 1, for factors of a deviation."""
    return F.softplus(x + math.log(math.e - 1))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group norm and SiLU, a bias from the conditioning vector, and a skip."""

    def __init__(self, channels_in: int, channels_out: int, condition_dim: int, norm_groups: int, dropout: float):
        super().__init__()
        self.net1 = nn.Sequential(
            nn.GroupNorm(norm_groups, channels_in), nn.SiLU(), nn.Conv2d(channels_in, channels_out, 3, padding=1)
        )
        self.cond_proj = zero(nn.Linear(condition_dim, channels_out, bias=False))
        layers: list[nn.Module] = [nn.GroupNorm(norm_groups, channels_out), nn.SiLU()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        layers.append(zero(nn.Conv2d(channels_out, channels_out, 3, padding=1)))
        self.net2 = nn.Sequential(*layers)
        if channels_in != channels_out:
            self.skip_conv = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Adds the block's output to x [B, C, H, W]; ``condition`` is [1 or B, D], float64."""
        h = self.net1(x) + linear_double(condition, self.cond_proj).to(x.dtype)[:, :, None, None]
        skip = self.skip_conv(x) if hasattr(self, "skip_conv") else x
        return skip + self.net2(h)


class AttentionOp(nn.Module):
    """Softmax attention over all positions; input holds queries, keys and values [B, 3C, H, W]."""

    def __init__(self, n_heads: int):
        super().__init__()
        self.n_heads = n_heads

    def forward(self, qkv: torch.Tensor) -> torch.Tensor:
        """Returns [B, C, H, W]."""
        b, c3, h, w = qkv.shape
        per_head = c3 // 3 // self.n_heads
        q, k, v = qkv.reshape(b, 3, self.n_heads, per_head, h * w).transpose(-1, -2).unbind(1)  # each (B, N, HW, D)
        attended = F.scaled_dot_product_attention(q.contiguous(), k.contiguous(), v.contiguous())  # scaled by 1/sqrt(D)
        return attended.transpose(-1, -2).reshape(b, c3 // 3, h, w)


class AttentionBlock(nn.Module):
    """Group norm, attention and a 1x1 convolution, added to the input."""

    def __init__(self, channels: int, n_heads: int, norm_groups: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.GroupNorm(norm_groups, channels),
            nn.Conv2d(channels, 3 * channels, 1),
            AttentionOp(n_heads),
            zero(nn.Conv2d(channels, channels, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Adds attention to x [B, C, H, W]."""
        return x + self.layers(x)


class UpDownBlock(nn.Module):
    """A residual block, followed by attention where the configuration asks for it everywhere."""

    def __init__(self, resnet_block: ResidualBlock, attention_block: AttentionBlock | None):
        super().__init__()
        self.resnet_block = resnet_block
        if attention_block is not None:
            self.attention_block = attention_block

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Maps [B, C_in, H, W] to [B, C, H, W]."""
        x = self.resnet_block(x, condition)
        return self.attention_block(x) if hasattr(self, "attention_block") else x


class ScoreNetwork(nn.Module):
    """Predicts the noise, and a factor for the reverse deviation, from z_t and gamma_t."""

    def __init__(
        self,
        *,
        embedding_dim: int,
        n_blocks: int,
        norm_groups: int,
        n_attention_heads: int = 1,
        n_channels: int = 3,
        dropout: float = 0.0,
        attention_everywhere: bool = False,
        fourier_features: bool = True,
        learned_scale: bool = True,
        gamma_min: float = -12.3,
        gamma_max: float = 6.0,
    ):
        super().__init__()
        e, d = embedding_dim, 4 * embedding_dim
        self.options = {
            "embedding_dim": e,
            "n_blocks": n_blocks,
            "norm_groups": norm_groups,
            "n_attention_heads": n_attention_heads,
            "n_channels": n_channels,
            "dropout": dropout,
            "attention_everywhere": attention_everywhere,
            "fourier_features": fourier_features,
            "learned_scale": learned_scale,
            "gamma_min": gamma_min,
            "gamma_max": gamma_max,
        }
        self.embedding_dim, self.n_channels = e, n_channels
        self.fourier_features, self.learned_scale = fourier_features, learned_scale
        self.gamma_min, self.gamma_max = gamma_min, gamma_max

        def block(channels_in: int) -> UpDownBlock:
            attention = AttentionBlock(e, n_attention_heads, norm_groups) if attention_everywhere else None
            return UpDownBlock(ResidualBlock(channels_in, e, d, norm_groups, dropout), attention)

        self.embed_conditioning = nn.Sequential(nn.Linear(e, d), nn.SiLU(), nn.Linear(d, d), nn.SiLU())
        features = n_channels * (1 + (2 * len(FOURIER_EXPONENTS) if fourier_features else 0))
        self.conv_in = nn.Conv2d(features, e, 3, padding=1)
        self.down_blocks = nn.ModuleList(block(e) for _ in range(n_blocks))
        self.mid_resnet_block_1 = ResidualBlock(e, e, d, norm_groups, dropout)
        self.mid_attn_block = AttentionBlock(e, n_attention_heads, norm_groups)
        self.mid_resnet_block_2 = ResidualBlock(e, e, d, norm_groups, dropout)
        self.up_blocks = nn.ModuleList(block(2 * e) for _ in range(n_blocks + 1))
        outputs = n_channels * (2 if learned_scale else 1)
        self.conv_out = nn.Sequential(
            nn.GroupNorm(norm_groups, e), nn.SiLU(), zero(nn.Conv2d(e, outputs, 3, padding=1))
        )

    def forward(self, z_t: torch.Tensor, gamma_t: float | torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns eps_hat and the factor of the deviation (None if not learned), both shaped as z_t, in float64.

        ``gamma_t`` is one number for the batch, or a tensor with one for each sample.
        """
        condition = self._condition(gamma_t)
        h = self.conv_in(self._features(z_t.to(self.conv_in.weight.dtype)))
        skips = []
        for down in self.down_blocks:
            skips.append(h)
            h = down(h, condition)
        skips.append(h)
        h = self.mid_resnet_block_1(h, condition)
        h = self.mid_resnet_block_2(self.mid_attn_block(h), condition)
        for up in self.up_blocks:
            h = up(torch.cat([h, skips.pop()], dim=1), condition)
        out = self.conv_out(h).double()
        eps_hat = out[:, : self.n_channels] + z_t
        if not self.learned_scale:
            return eps_hat, None
        return eps_hat, softplus_from_one(out[:, self.n_channels :])

    def _condition(self, gamma_t: float | torch.Tensor) -> torch.Tensor:
        """The conditioning vector, one for the batch or for each sample: float64, at negligible cost."""
        # The constants of the configuration, not the learned schedule, scale gamma.
        # The rounding to float32 of training is needed: tau is in thousandths.
        gamma = torch.as_tensor(gamma_t, dtype=torch.float32).reshape(-1, 1)
        tau = 1000 * ((gamma - self.gamma_min) / (self.gamma_max - self.gamma_min)).double()
        angles = tau * torch.logspace(0, -4, self.embedding_dim // 2, dtype=torch.float64, device=tau.device)
        h = torch.cat([angles.sin(), angles.cos()], dim=1).to(self.conv_in.weight.device)
        for layer in self.embed_conditioning:
            h = linear_double(h, layer) if isinstance(layer, nn.Linear) else layer(h)
        return h

    def _features(self, z_t: torch.Tensor) -> torch.Tensor:
        if not self.fourier_features:
            return z_t
        # Angles are always float32: up to some thousands, their rounding is part of the features.
        single = z_t.float()
        angles = torch.cat([2 * math.pi * 2**n * single for n in FOURIER_EXPONENTS], dim=1).to(z_t.dtype)
        return torch.cat([z_t, angles.sin(), angles.cos()], dim=1)


class UNetDenoiser(Denoiser):
    """The published network as a denoiser: eps_hat to x_hat, and the factor to a deviation."""

    # With channels last, group norm sums in plain float32: up to 4 times the error, and only 5 % faster.
    memory_format = torch.contiguous_format
    learns_schedule = mixes_steps = any_schedule = True

    def __init__(self, network: ScoreNetwork, *, forward_kernel_scale: bool = True):
        super().__init__()
        self.network = network
        self.channels = network.n_channels
        self.forward_kernel_scale = forward_kernel_scale

    def forward(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """See :meth:`uqdm.model.denoiser.Denoiser.forward`."""
        # float64 from the last layer on: rounding x_hat to float32 would add errors of the size of the network's own.
        eps_hat, factor = self.network(z_t, step.gamma_t)
        x_hat = (z_t - step.sigma_t * eps_hat) / step.alpha_t
        base = step.forward_sd if self.forward_kernel_scale else step.posterior_sd
        return Prediction(x_hat, base * (torch.ones_like(x_hat) if factor is None else factor))
