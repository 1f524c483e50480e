"""The latents of a Gaussian process whose noise is made of codewords."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.arithmetic import each_in_float32, float32_arithmetic
from uqdm.ddcm.choice import Choice, Method
from uqdm.ddcm.codebook import Codebook, first_latents
from uqdm.ddcm.noise_levels import NoiseLevels
from uqdm.diffusion.levels import levels_of
from uqdm.diffusion.process import reverse_mean
from uqdm.model.batches import begin_in_batches
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Opened, Prediction
from uqdm.model.schedule import Step
from uqdm.model.weights import check_bits


@dataclass(frozen=True)
class Latent:
    """The state of a decoder after ``n_steps`` coded steps: z_t [P, C, H, W], and the network's output for it."""

    n_steps: int
    z_t: torch.Tensor
    opened: Opened


class CodebookCoder:
    """Sends tiles x [P, C, H, W] of an image together: z_s = mean of p(z_s | z_t) + posterior_sd times the noise.

    The noise of a step is chosen by ``method`` from the step's codebook, for each tile. The choices of a file do not
    depend on a decoder's arithmetic; latents do, by rounding.
    """

    def __init__(self, model: Model, method: Method, levels: NoiseLevels):
        self.model, self.method, self.levels = model, method, levels
        self.coded = levels.coded(model.schedule)
        self.free = levels.free(model.schedule)
        self._data_levels = levels_of(model.config)

    @property
    def steps(self) -> list[Step]:
        """All steps, coded and free."""
        return [*self.coded, *self.free]

    @float32_arithmetic()
    def send(self, images: Sequence[torch.Tensor], seed: int) -> list[list[list[Choice]]]:
        """The choices of each image, step and tile. Images x [P, C, H, W] have equal tiles, and share the codebooks.

        The choices of an image do not depend on the other images.
        """
        z_ts = [self._start(x.shape, seed) for x in images]
        found: list[list[list[Choice]]] = [[] for _ in images]
        for step in self.coded:
            opened = [self._open(z_t, step) for z_t in z_ts]
            residuals = [self._residual(x, one) for x, one in zip(images, opened, strict=True)]
            codebook = self._codebook(seed, step, z_ts[0].shape)
            for index, choices in enumerate(self.method.choose(codebook, residuals)):
                found[index].append(choices)
                z_ts[index] = self._next(z_ts[index], opened[index], step, choices, codebook)
        return found

    @each_in_float32
    def receive(self, steps: Sequence[Sequence[Choice]], shape: Sequence[int], seed: int) -> Iterator[Latent]:
        """The latents after 0, 1, ... of the given steps; each step has the choices of all tiles."""
        z_t = self._start(torch.Size(shape), seed)
        for index in range(len(steps) + 1):
            step = self.steps[index]
            opened = self._open(z_t, step)
            yield Latent(index, z_t, opened)
            if index < len(steps):
                z_t = self._next(z_t, opened, step, steps[index], self._codebook(seed, step, z_t.shape))

    def _start(self, shape: torch.Size, seed: int) -> torch.Tensor:
        return torch.from_numpy(first_latents(seed, shape[0], shape[1:].numel())).reshape(shape).float()

    def _open(self, z_t: torch.Tensor, step: Step) -> Opened:
        return begin_in_batches(self.model.denoiser, z_t, step)

    def _residual(self, x: torch.Tensor, opened: Opened) -> np.ndarray:
        """What the estimate lacks, float32 [P, D]."""
        residual = (x.double() - self._data_levels.clip(opened.x_hat.double())).flatten(1).float().numpy()
        check_bits(residual, self.model.name)
        return residual

    def _next(
        self, z_t: torch.Tensor, opened: Opened, step: Step, choices: Sequence[Choice], codebook: Codebook
    ) -> torch.Tensor:
        noises = [self.method.noise(choice, codebook, tile) for tile, choice in enumerate(choices)]
        noise = torch.from_numpy(np.stack(noises)).reshape(z_t.shape)
        prediction = Prediction(opened.x_hat.double(), noise)  # its mean does not depend on the scale
        mean = reverse_mean(z_t.double(), prediction, step, self._data_levels)
        return (mean + step.posterior_sd * noise).float()

    def _codebook(self, seed: int, step: Step, shape: torch.Size) -> Codebook:
        return Codebook(seed, step.index, self.method.n_words, shape[1:].numel())
