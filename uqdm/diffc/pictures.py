"""Images of any size to files and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.arithmetic import each_in_float32, float32_arithmetic
from uqdm.codec import StreamError, check_images
from uqdm.diffc import file
from uqdm.diffc.chunks import Limits, Tally
from uqdm.diffc.coder import GaussianCoder, Latent
from uqdm.diffusion import gaussian
from uqdm.diffusion.choices import DENOISE, FLOW, OWN, RECONSTRUCTIONS
from uqdm.diffusion.images import to_data, to_uint8
from uqdm.diffusion.reconstruct import flow
from uqdm.model.checkpoint import Model
from uqdm.progressive import tiles

_TILE_UNIT = 8
_CHANNELS = 3


@dataclass(frozen=True)
class Made:
    """A file, the ideal bits of its steps, and counts of its searches."""

    stream: bytes
    ideal_bits: list[float]
    tally: Tally


@dataclass(frozen=True)
class Shown:
    """A reconstruction after ``n_steps`` steps of the file, and the number of network calls for it."""

    n_steps: int
    reconstruction: str
    image_uint8: np.ndarray
    calls: int


class DiffC:
    """Compresses images, uint8 [H, W, 3], with a model's weights in the Gaussian process; see :class:`GaussianCoder`.

    An image is cut into tiles of the model's size, or of the next multiple of 8 if it is smaller. All tiles are sent
    together.
    """

    def __init__(self, model: Model, n_steps: int | None = None, deviation: str = OWN, limits: Limits | None = None):
        self.model, self.limits = model, limits or Limits()
        self.coder = GaussianCoder(model, n_steps, gaussian.deviation_for(model.process, deviation), self.limits)
        found = list(_faults(self.coder))
        if found:
            raise ValueError(f"model {model.name} cannot code DiffC files of images: {'; '.join(found)}")

    @float32_arithmetic()
    def compress(self, image_uint8: np.ndarray, *, seed: int = 0, max_steps: int | None = None) -> Made:
        """A file of an image with all steps, or ``max_steps`` at most; ``seed`` has 16 bits."""
        check_images([image_uint8])
        height, width = image_uint8.shape[:2]
        size = min(self.model.image_size, -(-max(height, width) // _TILE_UNIT) * _TILE_UNIT)
        header = self._header(width, height, size, seed)
        for fault in header.faults():
            raise ValueError(f"{width}x{height} pixels: {fault}")
        sent = self.coder.send(to_data(tiles.cut(image_uint8, size, range(header.n_patches))), seed, max_steps)
        header = self._header(width, height, size, seed, len(sent.steps))
        return Made(file.pack(header, sent.steps), sent.ideal_bits, sent.tally)

    @float32_arithmetic()
    def step_ends(self, stream: bytes) -> list[int]:
        """Sizes of the prefixes with 0, 1, ... steps, in bytes; without network calls."""
        header, body, coder = self._parse(stream)
        try:
            ends = [step.end for step in coder.read(body, _shape(header), header.n_steps)]
        except ValueError as error:
            raise StreamError(f"the steps are damaged: {error}") from error
        if len(ends) == header.n_steps:
            file.check_body(body, ends[-1])
        return [file.HEADER_BYTES + end for end in [0, *ends]]

    def decompress(self, stream: bytes) -> np.ndarray:
        """The image of the last complete step of a file or prefix: x_hat, or z_0 after the last step."""
        *_, last = self.pictures(stream, (DENOISE,))
        return last.image_uint8

    @each_in_float32
    def pictures(
        self, stream: bytes, reconstructions: Sequence[str] = RECONSTRUCTIONS, *, noise_seed: int = 0
    ) -> Iterator[Shown]:
        """All reconstructions of all complete steps of a file or prefix; after the last step all are z_0."""
        self.step_ends(stream)  # detects damage before any network call
        header, body, coder = self._parse(stream)
        for latent in coder.receive(body, _shape(header), header.seed, header.n_steps):
            for name in reconstructions:
                data, more = self._show(coder, latent, name, noise_seed)
                image = tiles.join(to_uint8(data), header.height, header.width)
                yield Shown(latent.n_steps, name, image, latent.n_steps + (latent.opened is not None) + more)

    def _show(self, coder: GaussianCoder, latent: Latent, name: str, noise_seed: int) -> tuple[torch.Tensor, int]:
        """Data [P, C, H, W], and the number of network calls beyond those for the latent."""
        if latent.opened is None:
            return latent.z_t / coder.schedule.step(coder.schedule.n_steps - 1).alpha_s, 0
        if name == DENOISE:
            return latent.opened.x_hat, 0
        left = [coder.schedule.step(index) for index in range(latent.position, coder.schedule.n_steps)]
        with torch.inference_mode():
            if name == FLOW:
                return flow(self.model.denoiser, latent.z_t, latent.opened, left), len(left) - 1
            noise = gaussian.normal_noise(torch.Generator().manual_seed(noise_seed))
            network, deviation = self.model.denoiser, coder.deviation
            found = gaussian.ancestral(latent.z_t, left, network, noise, first=latent.opened, deviation=deviation)
            return found, len(left) - 1

    def _header(self, width: int, height: int, size: int, seed: int, n_steps: int = 1) -> file.Header:
        return file.Header(
            model_id=bytes.fromhex(self.model.sha256)[: file.MODEL_ID_BYTES],
            chunk_bits=self.limits.chunk_bits,
            margin_bits=self.limits.margin_bits,
            deviation=gaussian.DEVIATIONS.index(self.coder.deviation),
            schedule_steps=self.coder.schedule.n_steps,
            width=width,
            height=height,
            tile_size=size,
            seed=seed,
            n_steps=n_steps,
        )

    def _parse(self, stream: bytes) -> tuple[file.Header, bytes, GaussianCoder]:
        """Header and body of a file, and a coder with the settings of the header."""
        header, body = file.parse(stream)
        own_id = self._header(header.width, header.height, header.tile_size, header.seed).model_id
        if header.model_id != own_id:
            raise StreamError(
                f"the file was written with another model than {self.model.name}: "
                f"{header.model_id.hex()}, not {own_id.hex()}"
            )
        size, unit = self.model.image_size, _TILE_UNIT
        if header.tile_size == 0 or header.tile_size > max(size, unit):
            raise StreamError(f"tiles of {header.tile_size} pixels are not model {self.model.name}'s, of {size} pixels")
        return header, body, self._coder(header)

    def _coder(self, header: file.Header) -> GaussianCoder:
        if header.deviation >= len(gaussian.DEVIATIONS):
            raise StreamError(f"deviation {header.deviation} is none of {', '.join(gaussian.DEVIATIONS)}")
        deviation = gaussian.DEVIATIONS[header.deviation]
        own = (self.coder.schedule.n_steps, self.coder.deviation, self.limits)
        try:
            limits = Limits(header.chunk_bits, header.margin_bits)
            if (header.schedule_steps, deviation, limits) == own:
                return self.coder
            return GaussianCoder(self.model, header.schedule_steps, deviation, limits)
        except ValueError as error:
            raise StreamError(f"model {self.model.name} cannot have written the file: {error}") from error


def _faults(coder: GaussianCoder) -> Iterator[str]:
    """Reasons why a model cannot code files of images."""
    model, denoiser = coder.model, coder.model.denoiser
    if model.image_size == 1:
        yield "it is a model of points, not of images"
        return
    if denoiser.channels != _CHANNELS:
        yield f"its images have {denoiser.channels} channels, not {_CHANNELS}"
    if file.TILE_SIZE.fault(model.image_size):
        yield f"a file holds tiles of {file.TILE_SIZE.allowed} pixels a side, not of image_size {model.image_size}"
    if file.SCHEDULE_STEPS.fault(coder.schedule.n_steps):
        yield f"a file holds {file.SCHEDULE_STEPS.allowed} steps, not {coder.schedule.n_steps}"
        return
    most = max(denoiser.n_sections(step) for step in coder.schedule.steps())
    if most > file.MAX_SECTIONS:
        yield f"a step has {most} sections, more than {file.MAX_SECTIONS}"


def _shape(header: file.Header) -> tuple[int, ...]:
    return header.n_patches, 3, header.tile_size, header.tile_size
