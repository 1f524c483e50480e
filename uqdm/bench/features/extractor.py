"""Inception features of pictures, as torch-fidelity computes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.bench.features.network import N_FEATURES, RESIZE, build
from uqdm.bench.features.weight_files import Weights
from uqdm.bench.features.weights import load_weights
from uqdm.codec import check_images

MAX_BATCH_PIXELS = 2**23
"""The most pixels, before the resize, of a batch of the network: about 600 MB with their copies."""


class Extractor:
    """The Inception network on a device, ready to run. It is created in the process (a Ray actor) that runs it."""

    n_features: ClassVar[int] = N_FEATURES
    resize: ClassVar[str] = RESIZE

    def __init__(self, network: nn.Module, sha256: str, device: torch.device) -> None:
        self.sha256 = sha256
        """Hash of the weights: see :class:`uqdm.bench.features.weight_files.Weights`."""
        self.device = device
        self._network = network.to(device)

    @classmethod
    def load(cls, path: str | Path | None = None, device: str | None = None) -> Self:
        """An extractor with the weights of ``path``, or those that :func:`load_weights` finds.

        ``device`` is a GPU where there is one. Raises :class:`uqdm.bench.features.weight_files.WeightsError`.
        """
        return cls.of(load_weights(path), device)

    @classmethod
    def of(cls, weights: Weights, device: str | None = None) -> Self:
        """An extractor with these weights."""
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(build(weights.tensors), weights.sha256, chosen)

    def features(self, images: Sequence[np.ndarray], batch: int = 32) -> np.ndarray:
        """Features of each image, float32 [n, 2048].

        Images are uint8 [H, W, 3] and may differ in size; consecutive images of one size form a batch of at most
        ``batch`` images, fewer if they are large. Raises ValueError for images of another type or shape.
        """
        check_images(images)
        found = [self._run(group) for group in _batches(images, batch)]
        return np.concatenate(found) if found else np.empty((0, N_FEATURES), np.float32)

    def _run(self, images: Sequence[np.ndarray]) -> np.ndarray:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(self.device)  # (B, 3, H, W)
        with float32_arithmetic(), torch.inference_mode():
            (features,) = self._network(pixels)
        return features.cpu().numpy()


def _batches(images: Sequence[np.ndarray], batch: int) -> Iterator[Sequence[np.ndarray]]:
    if batch < 1:
        raise ValueError(f"batch={batch}: must be at least 1")
    for (height, width, _), group in groupby(images, key=np.shape):
        alike = list(group)
        size = min(batch, max(1, MAX_BATCH_PIXELS // (height * width)))
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
