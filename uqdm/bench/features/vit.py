"""A vision transformer (Dosovitskiy et al. 2021) whose sizes are those of its tensors; only its class token is read."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

HEAD_WIDTH = 64
"""Features of an attention head, in DINOv2 as in CLIP."""

BLOCK_LAYERS = ("norm1", "qkv", "projection", "norm2", "hidden", "output")
BLOCK_TENSORS = (*(f"{layer}.{part}" for layer in BLOCK_LAYERS for part in ("weight", "bias")), "scale1", "scale2")
"""Tensors of a block; ``scale1`` and ``scale2`` multiply what attention and the two linear layers add."""


class QuickGELU(nn.Module):
    """CLIP's approximation of GELU: x sigmoid(1.702 x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Attention over all tokens, then two linear layers for each, both added to their input."""

    def __init__(self, width: int, hidden: int, activation: nn.Module, epsilon: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, epsilon)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, epsilon)
        self.hidden = nn.Linear(width, hidden)
        self.activation = activation
        self.output = nn.Linear(hidden, width)
        self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens [B, tokens, width] to tokens of the same shape."""
        x = x + self.scale1 * self._attention(self.norm1(x))
        added = self.output(self.activation(self.hidden(self.norm2(x))))
        return torch.add(x, self.scale2 * added)

    def _attention(self, x: torch.Tensor) -> torch.Tensor:
        images, tokens, width = x.shape
        shape = (images, tokens, 3, width // HEAD_WIDTH, HEAD_WIDTH)
        query, key, value = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4)  # (B, heads, tokens, HEAD_WIDTH) each
        found = F.scaled_dot_product_attention(query, key, value)
        mixed: torch.Tensor = self.projection(found.transpose(1, 2).reshape(images, tokens, width))
        return mixed


class VisionTransformer(nn.Module):
    """The features of pictures, uint8 [B, 3, H, W], at the class token: float32 [B, n].

    ``tensors`` are named ``patch.weight``, ``patch.bias``, ``class_token``, ``positions`` [1 + patches, width],
    ``norm.weight``, ``norm.bias``, and ``blocks.0.`` with each of ``BLOCK_TENSORS``; where the network has a norm
    before its first block or a linear head, also ``first_norm.weight``, ``first_norm.bias`` and ``head`` [width, n].
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        activation: nn.Module,
        epsilon: float,
        mean: tuple[float, ...],
        deviation: tuple[float, ...],
    ) -> None:
        super().__init__()
        width, _, side, _ = tensors["patch.weight"].shape
        depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        hidden = tensors["blocks.0.hidden.weight"].shape[0]
        with torch.device("meta"):  # the tensors are assigned below
            self.patch = nn.Conv2d(3, width, side, side)
            self.class_token = nn.Parameter(torch.empty(width))
            self.positions = nn.Parameter(torch.empty(tensors["positions"].shape))
            self.first_norm = nn.LayerNorm(width, epsilon) if "first_norm.weight" in tensors else nn.Identity()
            self.blocks = nn.Sequential(*(Block(width, hidden, activation, epsilon) for _ in range(depth)))
            self.norm = nn.LayerNorm(width, epsilon)
            self.head = nn.Parameter(torch.empty(tensors["head"].shape)) if "head" in tensors else None
        self.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=True, assign=True)
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", 255 * torch.tensor(deviation)[:, None, None], persistent=False)
        self.eval().requires_grad_(requires_grad=False)

    @property
    def n_features(self) -> int:
        """The number of features of a picture."""
        return int(self.class_token.shape[0] if self.head is None else self.head.shape[1])

    def forward(self, pixels_uint8: torch.Tensor) -> torch.Tensor:
        """See the class."""
        patches = self.patch((pixels_uint8.float() - self.mean) / self.deviation).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(patches), 1, -1), patches], dim=1) + self.positions
        found: torch.Tensor = self.norm(self.blocks(self.first_norm(tokens))[:, 0])
        return found if self.head is None else found @ self.head


def resized_positions(positions: torch.Tensor, side: int, offset: float) -> torch.Tensor:
    """Positions [1 + n^2, width] of the class token and a square of patches, for a square of ``side`` x ``side``.

    As in DINOv2's code: bicubic, with samples ``n / (side + offset)`` apart, which differs from n / side.

    >>> resized_positions(torch.ones(1 + 37**2, 4), 16, offset=0.1).shape
    torch.Size([257, 4])
    """
    square = math.isqrt(len(positions) - 1)
    if square == side:
        return positions
    positions = positions.to(torch.promote_types(positions.dtype, torch.float32))  # weights can be float16
    grid = positions[1:].reshape(1, square, square, -1).permute(0, 3, 1, 2)
    scale = (side + offset) / square
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([positions[:1], grid[0].flatten(1).T])
