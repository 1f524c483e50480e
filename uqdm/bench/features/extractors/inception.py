"""Inception features of pictures, as torch-fidelity computes them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from uqdm.bench.features.extractor import Extractor
from uqdm.bench.features.network import N_FEATURES, RESIZE, build
from uqdm.bench.features.weight_files import Weights
from uqdm.bench.features.weights import load_weights


class Single(nn.Module):
    """Gives the one tensor of the tuple that torch-fidelity's network gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels_uint8: torch.Tensor) -> torch.Tensor:
        """Features [B, n] of pictures [B, 3, H, W]."""
        features: torch.Tensor
        (features,) = self.network(pixels_uint8)
        return features


def load(path: Path | None = None, device: str | None = None) -> Extractor:
    """See :func:`uqdm.bench.features.weights.load_weights`, which finds or fetches the weights."""
    return of_weights(load_weights(path), device)


def of_weights(weights: Weights, device: str | None = None) -> Extractor:
    """The extractor with these weights; ``device`` is a GPU where there is one."""
    return Extractor(Single(build(weights.tensors)), weights.sha256, N_FEATURES, RESIZE, device=device)
