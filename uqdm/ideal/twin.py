"""The Gaussian process of a model on images of any size: ideal rates, and pictures of its latents."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.arithmetic import each_in_float32, float32_arithmetic
from uqdm.diffusion import gaussian
from uqdm.diffusion.choices import DENOISE, FLOW
from uqdm.diffusion.images import to_data, to_uint8
from uqdm.diffusion.process import NoiseSource, last_stage_bits
from uqdm.diffusion.reconstruct import flow
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Opened
from uqdm.model.weights import check_bits
from uqdm.progressive import tiles
from uqdm.progressive.device import checked_device, encoded_at_once

MAX_TILES = 16  # batch size of the network calls for pictures


@dataclass(frozen=True)
class TwinPicture:
    """A picture of an image after ``step`` 0..T."""

    step: int
    reconstruction: str
    image_uint8: np.ndarray


class GaussianTwin:
    """A model of images in the Gaussian process, in ``n_steps`` steps (None for the model's own T).

    ``deviation`` and ``start`` are as in :mod:`uqdm.diffusion.gaussian`. Images are cut into tiles of the model's
    size, as for files. The noise of each tile depends on the seed and the image's pixels: means over images have
    independent terms.

    Raises ValueError for a model of points, for a number of steps without networks, and for a deviation of models of
    the other process.
    """

    def __init__(
        self,
        model: Model,
        n_steps: int | None = None,
        *,
        deviation: str = "posterior",
        start: str = "posterior",
        device: str = "cpu",
    ):
        _check(model, deviation, start)
        self.model, self.deviation, self.start, self.device = model, deviation, start, checked_device(device)
        self.schedule = model.schedule_at(n_steps or model.schedule.n_steps)
        with float32_arithmetic():
            self.denoiser = copy.deepcopy(model.denoiser).to(self.device)

    @property
    def n_steps(self) -> int:
        """The number of steps T."""
        return self.schedule.n_steps

    @float32_arithmetic()
    def ideal_bits(self, images: Sequence[np.ndarray], seed: int = 0) -> list[list[float]]:
        """Bits of each image, uint8 [H, W, 3]: up to z_T, up to z of each step, and with x: T + 2 values."""
        jobs = [(index, tile) for index, image in enumerate(images) for tile in self._tiles(image)]
        bits = np.zeros((len(images), self.n_steps + 2))
        at_once = encoded_at_once(self.device)
        for begin in range(0, len(jobs), at_once):
            batch = jobs[begin : begin + at_once]
            tiles_of = [tile for _, tile in batch]
            filled = tiles_of + tiles_of[-1:] * (at_once - len(batch))
            np.add.at(bits, [index for index, _ in batch], self._terms(filled, seed)[: len(batch)])
        check_bits(bits, self.model.name)
        return bits.cumsum(axis=1).tolist()

    def _terms(self, batch: Sequence[_Tile], seed: int) -> np.ndarray:
        """Bits of each part of each tile, float64 [B, T + 2]."""
        x = self._data(batch)
        terms = []
        first = gaussian.prior_kl_bits(x.double(), self.schedule.step(0))
        terms.append(first if self.start == "posterior" else torch.zeros_like(first))
        for sent in self._transmit(x, batch, seed):
            terms.append(sent.bits)
        terms.append(last_stage_bits(x.double(), sent.z_s.double(), sent.step))
        return torch.stack([term.double().flatten(1).sum(1) for term in terms], 1).cpu().numpy()

    @each_in_float32
    def pictures(
        self,
        image_uint8: np.ndarray,
        steps: Sequence[int],
        reconstructions: Sequence[str] = (DENOISE,),
        *,
        seed: int = 0,
        noise_seed: int = 0,
    ) -> Iterator[TwinPicture]:
        """Pictures of the latents after each of ``steps`` (each in 0..T), in that order.

        They are the latents of :meth:`ideal_bits`. After step T all reconstructions are equal: z_0, rounded.
        ``noise_seed`` is the seed of ancestral samples.
        """
        found: dict[tuple[int, str], list[np.ndarray]] = {}
        every = list(self._tiles(image_uint8))
        for begin in range(0, len(every), MAX_TILES):
            generator = torch.Generator().manual_seed((noise_seed << 20) + begin)
            batch = self._batch_pictures(every[begin : begin + MAX_TILES], set(steps), reconstructions, seed, generator)
            for key, part in batch.items():
                found.setdefault(key, []).append(part)
        height, width = image_uint8.shape[:2]
        for step in steps:
            for name in reconstructions:
                yield TwinPicture(step, name, tiles.join(np.concatenate(found[step, name]), height, width))

    def _batch_pictures(
        self, batch: Sequence[_Tile], wanted: set[int], names: Sequence[str], seed: int, generator: torch.Generator
    ) -> Mapping[tuple[int, str], np.ndarray]:
        x, found = self._data(batch), {}
        with torch.inference_mode():
            for sent in self._transmit(x, batch, seed):
                index = sent.step.index
                if index in wanted:
                    for name in names:
                        found[index, name] = to_uint8(self._show(name, index, sent.z_t, sent.x_hat, generator))
        if self.n_steps in wanted:
            found |= dict.fromkeys([(self.n_steps, name) for name in names], to_uint8(sent.z_s / sent.step.alpha_s))
        return found

    def _show(
        self, name: str, index: int, z_t: torch.Tensor, x_hat: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        left = self.schedule.steps()[index:]
        if name == DENOISE:
            return x_hat
        if name == FLOW:
            return flow(self.denoiser, z_t, Opened(x_hat, ()), left)
        noise = gaussian.normal_noise(generator)
        return gaussian.ancestral(z_t, left, self.denoiser, noise, deviation=self.deviation)

    def _transmit(self, x: torch.Tensor, batch: Sequence[_Tile], seed: int) -> Iterator[gaussian.Transmission]:
        noise = self._noise(batch, seed)
        return gaussian.transmit(self.denoiser, self.schedule, x, noise, start=self.start, deviation=self.deviation)

    def _noise(self, batch: Sequence[_Tile], seed: int) -> NoiseSource:
        def noise(index: int, shape: torch.Size) -> torch.Tensor:
            return torch.from_numpy(np.stack([tile.noise(seed, index, shape[1:]) for tile in batch])).to(self.device)

        return noise

    def _data(self, batch: Sequence[_Tile]) -> torch.Tensor:
        return to_data(np.stack([tile.pixels_uint8 for tile in batch])).to(self.device)

    def _tiles(self, image_uint8: np.ndarray) -> Iterator[_Tile]:
        size = self.model.image_size
        words = tuple(np.frombuffer(hashlib.sha256(image_uint8.tobytes()).digest(), "<u4").tolist())
        height, width, _ = image_uint8.shape
        for number in range(tiles.count(height, width, size)):
            yield _Tile(tiles.cut(image_uint8, size, [number])[0], (*words, number))


@dataclass(frozen=True, eq=False)
class _Tile:
    """Pixels of a tile, and the key of its noise."""

    pixels_uint8: np.ndarray
    key: tuple[int, ...]

    def noise(self, seed: int, index: int, shape: Sequence[int]) -> np.ndarray:
        """N(0, 1) for a step: float32, independent of batch and device."""
        words = np.random.Philox(np.random.SeedSequence([seed, index, *self.key]))
        return np.random.Generator(words).standard_normal(tuple(shape), np.float32)


def _check(model: Model, deviation: str, start: str) -> None:
    if model.image_size == 1:
        raise ValueError(f"model {model.name} is of points, not of images")
    if start not in gaussian.STARTS or deviation not in gaussian.DEVIATIONS:
        raise ValueError(f"start={start!r}, deviation={deviation!r}: see uqdm.diffusion.gaussian for the choices")
    other = {"matched": "gaussian", "predicted": "uniform"}.get(deviation)
    if model.process == other:
        raise ValueError(
            f"deviation={deviation!r}: model {model.name} was trained in the {other} process; take posterior, or "
            f"{'predicted' if deviation == 'matched' else 'matched'}"
        )
