"""Running a denoiser for the coder: from integer latents to the outputs that the coder rounds."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.coding.lattice import START_UNIT, LatticeStep
from uqdm.coding.randomness import start
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser, Prediction
from uqdm.model.schedule import Step

CHANNELS = 3


@dataclass(frozen=True)
class Outputs:
    """A step's predictions for tiles, in the coder's units; arrays are float64 [B, D], channel by channel."""

    prediction: Prediction
    """What the network gave, [B, 3, H, W]."""
    x_hat: np.ndarray
    """Estimate of the data, clipped to [-1, 1]."""
    mean_bins: np.ndarray
    """x_hat's part of the location of the symbols, in bins."""
    log2_scale: np.ndarray
    """Binary logarithm of the logistic's scale, in bins."""

    def rows(self, begin: int, end: int) -> Outputs:
        """The outputs of tiles ``begin`` to ``end``."""
        whole = self.prediction
        part = Prediction(whole.x_hat[begin:end], whole.scale[begin:end])
        return Outputs(part, self.x_hat[begin:end], self.mean_bins[begin:end], self.log2_scale[begin:end])


class Predictor:
    """A model's denoiser with the lattice of its schedule.

    ``double`` runs it in float64. The first step's outputs depend on the seed alone: they are always computed in
    float64, one tile at a time, and kept.
    """

    def __init__(self, model: Model, device: str = "cpu", *, double: bool = False):
        self.model, self.device = model, torch.device(device)
        self.dtype = torch.float64 if double else torch.float32
        self._denoiser = copy.deepcopy(model.denoiser).to(self.device, self.dtype)
        self._denoiser.to(memory_format=model.denoiser.memory_format)  # type: ignore[call-overload]
        self._exact = self._denoiser if double else copy.deepcopy(model.denoiser).to(torch.float64)
        self.steps = model.schedule.steps()
        self.lattice: list[LatticeStep] = []
        for step in self.steps:
            unit = self.lattice[-1].unit if self.lattice else START_UNIT
            self.lattice.append(LatticeStep.make(unit, step.z_weight, step.x_weight, step.width))
        self._kept = functools.lru_cache(maxsize=256)(self._first)

    @property
    def n_coordinates(self) -> int:
        """Coordinates D of a tile."""
        return CHANNELS * self.model.image_size**2

    def unit(self, index: int) -> float:
        """Value of a unit of the latents that are known before step ``index``."""
        return START_UNIT if index == 0 else self.lattice[index - 1].unit

    def first(self, seed: int) -> Outputs:
        """Outputs of step 0 for one tile, [1, D], from the latent z_T of a seed."""
        return self._kept(seed if self.first_depends_on_seed else 0)

    @property
    def first_depends_on_seed(self) -> bool:
        """Whether the network looks at z_T at all."""
        return self.model.denoiser.needs_input(self.steps[0])

    def predict(self, index: int, n_t: np.ndarray, seeds: list[int]) -> Outputs:
        """Predicts step ``index`` from latents int64 [B, D] of tiles that began from ``seeds``."""
        if index == 0:
            return _stack([self.first(seed) for seed in seeds])
        return self._run(self._denoiser, index, n_t)

    def _first(self, seed: int) -> Outputs:
        return self._run(self._exact, 0, start(seed, self.n_coordinates)[None])

    def latents(self, index: int, n_t: np.ndarray) -> torch.Tensor:
        """Latents [B, 3, H, W] of integers [B, D] that are known before step ``index``, as the network takes them."""
        size = self.model.image_size
        z = torch.from_numpy(n_t * self.unit(index)).float().to(self.device, self.dtype)
        return z.reshape(-1, CHANNELS, size, size).contiguous(memory_format=self.model.denoiser.memory_format)

    def network(self, z_t: torch.Tensor, step: Step) -> Prediction:
        """A bare call of the network, [B, 3, H, W]."""
        with torch.inference_mode(), full_precision():
            prediction = self._denoiser(z_t, step)
        return Prediction(prediction.x_hat.to(z_t.dtype), prediction.scale.to(z_t.dtype))

    def _run(self, denoiser: Denoiser, index: int, n_t: np.ndarray) -> Outputs:
        weights = next(denoiser.parameters())
        z = self.latents(index, n_t).to(weights.device, weights.dtype)
        with torch.inference_mode(), full_precision():
            return self._outputs(index, denoiser(z, self.steps[index]))

    def _outputs(self, index: int, prediction: Prediction) -> Outputs:
        step = self.steps[index]
        x_hat = data_rows(prediction.x_hat.clamp(-1, 1))
        scale_bins = data_rows(prediction.scale) * (LOGISTIC_SCALE_PER_DEVIATION / step.width)
        return Outputs(prediction, x_hat, x_hat * (step.x_weight / step.width), np.log2(scale_bins))


def _stack(outputs: list[Outputs]) -> Outputs:
    x_hats, scales = ([getattr(o.prediction, name) for o in outputs] for name in ("x_hat", "scale"))
    arrays = ([getattr(o, name) for o in outputs] for name in ("x_hat", "mean_bins", "log2_scale"))
    return Outputs(Prediction(torch.cat(x_hats), torch.cat(scales)), *(np.concatenate(array) for array in arrays))


def data_rows(values: torch.Tensor) -> np.ndarray:
    """Values [B, 3, H, W] in the order of coding, float64 [B, D]."""
    return values.to("cpu", torch.float64).flatten(1).contiguous().numpy()


@contextmanager
def full_precision() -> Iterator[None]:
    """Keeps GPUs from rounding float32 to TF32 inside: coding needs the last digits.

    The switches are the process's: the first thread that enters throws them, the last one that leaves restores them.
    """
    with _switches_lock:
        if not _switches_before:
            _switches_before.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        else:
            _switches_before.append(_switches_before[0])
    try:
        yield
    finally:
        with _switches_lock:
            matmul, cudnn = _switches_before.pop()
            if not _switches_before:
                torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


_switches_lock = threading.Lock()
_switches_before: list[tuple[bool, bool]] = []
"""What the switches were, once for each thread inside."""
