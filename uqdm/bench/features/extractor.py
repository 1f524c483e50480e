"""A feature extractor: a network on a device, with how it takes pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from PIL import Image
from torch import nn

from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import check_images

MAX_BATCH_PIXELS = 2**23
"""The most pixels, as the network takes them, of a batch: about 600 MB with their copies."""


def _unchanged(image_uint8: np.ndarray) -> np.ndarray:
    return image_uint8


class Extractor:
    """A network on a device, ready to run. It is created in the process (a Ray actor) that runs it."""

    def __init__(
        self,
        network: nn.Module,
        sha256: str,
        n_features: int,
        resize: str,
        *,
        prepare: Callable[[np.ndarray], np.ndarray] = _unchanged,
        caution: str | None = None,
        device: str | None = None,
    ) -> None:
        """``network`` maps uint8 [B, 3, H, W] to features [B, n_features]; ``device`` is a GPU where there is one."""
        self.sha256 = sha256
        """Hash of the network's weights."""
        self.n_features = n_features
        self.resize = resize
        """How pictures are resized; part of the definition of the features."""
        self.caution = caution
        """Why features are not those of the published extractor; None if they are."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._prepare = prepare
        self._network = network.to(self.device)

    def features(self, images: Sequence[np.ndarray], batch: int = 32) -> np.ndarray:
        """Features of each image, float32 [n, n_features].

        Images are uint8 [H, W, 3] and may differ in size; consecutive images of one size form a batch of at most
        ``batch`` images, fewer if they are large. Raises ValueError for images of another type or shape.
        """
        check_images(images)
        found = [self._run(group) for group in _batches([self._prepare(image) for image in images], batch)]
        return np.concatenate(found) if found else np.empty((0, self.n_features), np.float32)

    def _run(self, images: Sequence[np.ndarray]) -> np.ndarray:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(self.device)  # (B, 3, H, W)
        with float32_arithmetic(), torch.inference_mode():
            return np.asarray(self._network(pixels).cpu().numpy())


def resized(image_uint8: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, 3] at another height and width: bicubic with antialiasing, rounded to 8 bits.

    >>> resized(np.full((64, 48, 3), 7, np.uint8), (224, 168)).shape
    (224, 168, 3)
    """
    height, width = size
    return np.array(Image.fromarray(image_uint8).resize((width, height), Image.Resampling.BICUBIC))


def _batches(images: Sequence[np.ndarray], batch: int) -> Iterator[Sequence[np.ndarray]]:
    if batch < 1:
        raise ValueError(f"batch={batch}: must be at least 1")
    for (height, width, _), group in groupby(images, key=np.shape):
        alike = list(group)
        size = min(batch, max(1, MAX_BATCH_PIXELS // (height * width)))
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
