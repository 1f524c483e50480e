"""Pictures of a chunk's tiles at each point of decoding: before step 1, after a step, at the end, and lossless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.coding.grids import Cells
from uqdm.diffusion.reconstruct import Uniform, ancestral, flow
from uqdm.diffusion.window import Window
from uqdm.model.denoiser import Opened
from uqdm.model.schedule import Step
from uqdm.progressive.chunk_stream import ChunkStream, FileChunk, Latents
from uqdm.progressive.encoder import levels_check, means_check
from uqdm.progressive.predictor import OpenStep, Predictor, data_rows

_NOISE_STREAM = 1 << 32  # apart from the streams of coding, which count steps


@dataclass(frozen=True)
class WantedPicture:
    """A picture to make: after ``step`` 0..T, or None for the lossless one; and by which reconstruction."""

    step: int | None
    reconstruction: str = "denoise"
    noise_seed: int = 0


class PictureSource(Protocol):
    """A chunk at one point of decoding."""

    def picture(self, wanted: WantedPicture) -> np.ndarray:
        """Levels int64 [B, D] of a picture at this point."""


class DenoisedPicture(Protocol):
    """The estimate x_hat that the network makes of the latents after a step, rounded alike on every machine."""

    def levels(self) -> np.ndarray:
        """Levels int64 [B, D]."""

    def check(self, check: int) -> int:
        """The running check value with what the picture is made from."""


@dataclass(frozen=True)
class RoundedMeans:
    """The picture in files of version 1: it is made from the rounded means of the next step, arrays [B, D]."""

    cells: Cells
    step: Step

    def levels(self) -> np.ndarray:
        """See :meth:`DenoisedPicture.levels`."""
        return nearest_level(self.cells.mean * (self.step.width / self.step.x_weight / 65536))

    def check(self, check: int) -> int:
        """See :meth:`DenoisedPicture.check`."""
        return means_check(self.cells.mean, check)


@dataclass(frozen=True)
class Preview:
    """The picture in files of version 2, which state how it is rounded; levels uint8 [B, D]."""

    shown: np.ndarray

    def levels(self) -> np.ndarray:
        """See :meth:`DenoisedPicture.levels`."""
        return self.shown.astype(np.int64)

    def check(self, check: int) -> int:
        """See :meth:`DenoisedPicture.check`."""
        return levels_check(self.shown, check)


@dataclass(frozen=True)
class BeforeFirstStep:
    """A chunk of which nothing is read: pictures are made from z_T of the file's first seed."""

    chunk: FileChunk

    def picture(self, wanted: WantedPicture) -> np.ndarray:
        """See :meth:`PictureSource.picture`."""
        predictor = self.chunk.predictor
        seeds = self.chunk.first_seeds
        if wanted.reconstruction == "denoise":  # these outputs are computed in float64
            return nearest_level(np.concatenate([predictor.first(seed).x_hat for seed in seeds]))
        known = self.chunk.start(seeds)
        first = predictor.open(0, known.n_t, seeds).opened
        return _sampled(predictor, known, first, self.chunk.positions, wanted)


@dataclass(frozen=True)
class AfterStep:
    """A chunk after a step before the last, with what the network made of its latents."""

    stream: ChunkStream
    known: Latents
    opened: OpenStep
    denoised: DenoisedPicture

    def picture(self, wanted: WantedPicture) -> np.ndarray:
        """See :meth:`PictureSource.picture`."""
        if wanted.reconstruction == "denoise":
            return self.denoised.levels()
        chunk = self.stream.chunk
        return _sampled(chunk.predictor, self.known, self.opened.opened, chunk.positions, wanted)


@dataclass(frozen=True)
class AfterLastStep:
    """A chunk after all steps: every reconstruction gives the most probable levels given z_0 alone.

    Where the possible levels are known, it is the nearest of those.
    """

    predictor: Predictor
    known: Latents

    def picture(self, wanted: WantedPicture) -> np.ndarray:
        """See :meth:`PictureSource.picture`."""
        predictor = self.predictor
        nearest = nearest_level(self.known.n_t * (predictor.lattice[-1].unit / predictor.steps[-1].alpha_s))
        return np.clip(nearest, *self.known.window) if predictor.bounded else nearest


@dataclass(frozen=True)
class Lossless:
    """A chunk that is decoded to its end, levels int64 [B, D]."""

    levels: np.ndarray

    def picture(self, wanted: WantedPicture) -> np.ndarray:
        """See :meth:`PictureSource.picture`."""
        return self.levels


def nearest_level(x: np.ndarray) -> np.ndarray:
    """The level, int64, whose interval of data units holds x.

    >>> nearest_level(np.array([-1.5, -1.0, 0.0, 0.999])).tolist()
    [0, 0, 128, 255]
    """
    return np.clip(np.floor((x + 1) * 128), 0, 255).astype(np.int64)


def _sampled(
    predictor: Predictor, known: Latents, first: Opened, positions: Sequence[int], wanted: WantedPicture
) -> np.ndarray:
    """Levels by ``ancestral`` sampling or by the ``flow``, in the network's precision.

    Unlike the denoised picture these are floating-point results: machines may differ by a level here and there.
    """
    steps = predictor.steps[known.n_steps :]
    network = predictor.denoiser
    z_t = predictor.latents(known.n_steps, known.n_t)
    opened = first.to(z_t)
    with float32_arithmetic(), torch.inference_mode():
        if wanted.reconstruction == "flow":
            found = flow(network, z_t, opened, steps)
        else:
            noise = _uniform(known.n_steps, predictor.n_coordinates, positions, wanted.noise_seed)
            found = ancestral(network, z_t, opened, steps, noise, _possible(predictor, known, z_t))
    return nearest_level(data_rows(found))


def _possible(predictor: Predictor, known: Latents, z_t: torch.Tensor) -> Window | None:
    if not predictor.bounded:
        return None
    return Window(*(torch.from_numpy(level).to(z_t).reshape(z_t.shape) for level in known.window))


def _uniform(n_steps: int, size: int, positions: Sequence[int], noise_seed: int) -> Uniform:
    """Noise of each tile from a stream of its own, so that it does not depend on the batch."""

    def draw(index: int, shape: torch.Size) -> torch.Tensor:
        rows = [TileNoise(noise_seed, n_steps, position, index).uniform(size) for position in positions]
        return torch.from_numpy(np.stack(rows)).reshape(shape)

    return draw


class TileNoise:
    """Numbers that are uniform in (0, 1), from a stream for each seed, number of decoded steps, tile and ``index``."""

    def __init__(self, noise_seed: int, n_steps: int, position: int, index: int = 0):
        self._words = np.random.Philox(key=[noise_seed, _NOISE_STREAM + n_steps], counter=[0, position, index, 0])

    def uniform(self, size: int) -> np.ndarray:
        """The next ``size`` numbers, float64."""
        return ((self._words.random_raw(size) >> np.uint64(12)) + 0.5) * 2.0**-52
