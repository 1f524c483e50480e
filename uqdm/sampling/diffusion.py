"""Samples of models with a denoiser: of the paper's uniform process, and of the Gaussian one (VDM)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.diffusion import gaussian, reconstruct
from uqdm.diffusion.choices import OWN
from uqdm.diffusion.images import to_uint8
from uqdm.diffusion.window import Window
from uqdm.model.checkpoint import Model
from uqdm.progressive.device import checked_device
from uqdm.sampling.noise import SampleNoise
from uqdm.sampling.sampler import Sampler

AT_ONCE = {"cpu": 8, "cuda": 64}
"""Samples in a call of the network, by kind of device."""


class DiffusionSampler(Sampler):
    """Ancestral samples of a model: z_T ~ N(0, 1), then p(z_s | z_t) in each of T steps, then the nearest level.

    ``n_steps`` is T (None for the model's own); another one needs a network for all noise levels. ``deviation`` is that
    of p in a Gaussian process (:func:`uqdm.diffusion.gaussian.reverse`). ``at_once`` is the size of a batch (None for
    that of the device). Raises ValueError for a model of points, for a number of steps without networks, and for a
    deviation that the model's process does not have.
    """

    def __init__(
        self,
        model: Model,
        n_steps: int | None = None,
        *,
        deviation: str = OWN,
        seed: int = 0,
        device: str = "cpu",
        at_once: int | None = None,
    ):
        _check(model, n_steps, deviation)
        self.model, self.seed, self.device = model, seed, checked_device(device)
        self.image_size, self.at_once = model.image_size, at_once or AT_ONCE[self.device.type]
        self.schedule = model.schedule_at(n_steps or model.schedule.n_steps)
        self._deviation = gaussian.deviation_for(model.process, deviation)
        with float32_arithmetic():
            self._denoiser = copy.deepcopy(model.denoiser).to(self.device)

    @torch.inference_mode()
    def batch(self, numbers: Sequence[int]) -> np.ndarray:
        """See :meth:`uqdm.sampling.sampler.Sampler.batch`."""
        noise = SampleNoise(self.seed, numbers)
        shape = torch.Size((len(numbers), 3, self.image_size, self.image_size))
        z = noise.normal(0, shape).to(self.device)
        return to_uint8(self._gaussian(z, noise) if self.model.process == "gaussian" else self._uniform(z, noise))

    def _gaussian(self, z: torch.Tensor, noise: SampleNoise) -> torch.Tensor:
        steps = self.schedule.steps()
        return gaussian.ancestral(z, steps, self._denoiser, noise.normal, deviation=self._deviation)

    def _uniform(self, z: torch.Tensor, noise: SampleNoise) -> torch.Tensor:
        steps, denoiser = self.schedule.steps(), self._denoiser
        window = Window.everything(z) if denoiser.bounded else None

        def uniform(index: int, shape: torch.Size) -> torch.Tensor:
            return noise.uniform(index + 1, shape)

        first = denoiser.begin(z, steps[0])
        return reconstruct.ancestral(denoiser, z, first, steps, uniform, window, density=denoiser.density)


def _check(model: Model, n_steps: int | None, deviation: str) -> None:
    if model.image_size == 1:
        raise ValueError(f"model {model.name} is of points, not of images: `uqdm swirl measure` samples it")
    if n_steps is not None and n_steps < 1:
        raise ValueError(f"steps={n_steps}: must be at least 1")
    known = (OWN, "posterior", "predicted")
    if model.process != "gaussian" and deviation != OWN:
        raise ValueError(
            f"deviation={deviation!r}: only models of the Gaussian process have a choice, and {model.name} is of the "
            f"{model.process} one; leave it out"
        )
    if deviation not in known:
        raise ValueError(f"deviation={deviation!r}: choose one of {', '.join(known)}")
