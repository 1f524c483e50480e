"""Images of any size to files and back."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from uqdm.arithmetic import each_in_float32, float32_arithmetic
from uqdm.codec import StreamError, check_images
from uqdm.ddcm import file
from uqdm.ddcm.coder import CodebookCoder, Latent
from uqdm.ddcm.noise_levels import DEPTH_UNITS, SPACING_UNITS, depth_for
from uqdm.diffusion import gaussian
from uqdm.diffusion.choices import DENOISE, FLOW
from uqdm.diffusion.images import to_data, to_uint8
from uqdm.diffusion.reconstruct import flow
from uqdm.model.checkpoint import Model
from uqdm.progressive import tiles
from uqdm.progressive.cost import multiply_accumulates

_TILE_UNIT = 8
_CHANNELS = 3
_MAX_PRODUCTS = 1 << 24
"""Maximum of inner products that encoders hold at once, unless one image has more."""


@dataclass(frozen=True)
class Settings:
    """Parameters of files; see :class:`uqdm.ddcm.file.Header`.

    ``coefficient_bits`` is 0 for Turbo-DDCM. ``gamma_end`` is where the coded steps end; None chooses it by the rate.
    ``spacing`` is the exponent of the SNR.
    """

    word_bits: int = 12
    coefficient_bits: int = 0
    vectors: int = 5
    n_coded: int = 20
    n_free: int = 8
    gamma_end: float | None = None
    spacing: float = 0.5


@dataclass(frozen=True)
class Made:
    """A file, the ideal bits up to each of its steps, and the number of network calls to make it."""

    stream: bytes
    ideal_bits: list[float]
    calls: int


@dataclass(frozen=True)
class Shown:
    """A reconstruction after ``n_steps`` coded steps, and what leads to it from the file: calls and their MACs."""

    n_steps: int
    reconstruction: str
    image_uint8: np.ndarray
    calls: int
    macs: int


class DDCM:
    """Compresses images, uint8 [H, W, 3], with a model whose one network serves all noise levels.

    An image is cut into tiles of the model's size, or of the next multiple of 8 if it is smaller. Raises ValueError for
    models and settings that files cannot have.
    """

    def __init__(self, model: Model, settings: Settings | None = None):
        self.model, self.settings = model, settings or Settings()
        self._counted: dict[int, int] = {}
        found = list(_faults(model))
        if found:
            raise ValueError(f"model {model.name} cannot code DDCM files of images: {'; '.join(found)}")
        self._coder(self._header(model.image_size, model.image_size, 0))  # checks the steps by the model's schedule

    @float32_arithmetic()
    def compress(self, images: Sequence[np.ndarray], *, seed: int = 0) -> list[Made]:
        """A file of each image; ``seed`` has 16 bits. Images of equal tiles share the codebooks, which saves time.

        The bytes of a file do not depend on the other images.
        """
        check_images(images)
        headers = [self._header(image.shape[1], image.shape[0], seed) for image in images]
        made: dict[int, Made] = {}
        for group in _groups(headers):
            coder = self._coder(headers[group[0]])
            x = [to_data(tiles.cut(images[i], headers[i].tile_size, range(headers[i].n_tiles))) for i in group]
            for i, steps in zip(group, coder.send(x, seed), strict=True):
                bits = headers[i].n_tiles * coder.method.ideal_bits
                ends = [bits * n_steps for n_steps in range(len(steps) + 1)]
                made[i] = Made(file.pack(headers[i], steps), ends, len(steps))
        return [made[i] for i in range(len(images))]

    def parse(self, stream: bytes) -> file.Parsed:
        """A file or prefix of this model; :class:`StreamError` names the fault. Without network calls."""
        parsed = file.parse(stream)
        header = parsed.header
        if header.model_id != self._model_id:
            raise StreamError(
                f"the file was written with another model than {self.model.name}: "
                f"{header.model_id.hex()}, not {self._model_id.hex()}"
            )
        size = self.model.image_size
        if header.tile_size > size or (header.tile_size < size and header.tile_size % self._tile_unit):
            raise StreamError(f"tiles of {header.tile_size} pixels are not model {self.model.name}'s, of {size} pixels")
        try:
            self._coder(header)
        except ValueError as error:
            raise StreamError(f"model {self.model.name} cannot have written the file: {error}") from error
        return parsed

    def decompress(self, stream: bytes, reconstruction: str = DENOISE) -> np.ndarray:
        """The image of the last complete step of a file or prefix."""
        (shown,) = self.pictures(stream, (reconstruction,), steps=[self.parse(stream).n_steps])
        return shown.image_uint8

    @each_in_float32
    def pictures(
        self, stream: bytes, reconstructions: Sequence[str], *, steps: Collection[int], noise_seed: int = 0
    ) -> Iterator[Shown]:
        """Reconstructions of a file or prefix after each of ``steps`` that it holds, in order.

        ``denoise`` is x_hat. ``flow`` follows the probability flow through the other steps, ``ancestral`` samples
        them.
        """
        parsed = self.parse(stream)
        header, choices = parsed.header, parsed.steps()  # detects damage before any network call
        coder = self._coder(header)
        macs = header.n_tiles * self._macs(header.tile_size)
        for latent in coder.receive(choices[: max(steps, default=0)], header.shape, header.seed):
            for name in reconstructions if latent.n_steps in steps else ():
                data, more = self._show(coder, latent, name, noise_seed)
                image = tiles.join(to_uint8(data), header.height, header.width)
                calls = latent.n_steps + 1 + more
                yield Shown(latent.n_steps, name, image, calls, calls * macs)

    def _show(self, coder: CodebookCoder, latent: Latent, name: str, noise_seed: int) -> tuple[torch.Tensor, int]:
        """Data [P, C, H, W], and the number of network calls beyond those for the latent."""
        if name == DENOISE:
            return latent.opened.x_hat, 0
        left, network = coder.steps[latent.n_steps :], self.model.denoiser
        with torch.inference_mode():
            if name == FLOW:
                return flow(network, latent.z_t, latent.opened, left), len(left) - 1
            noise = gaussian.normal_noise(torch.Generator().manual_seed(noise_seed))
            deviation = gaussian.deviation_for(self.model.process)
            found = gaussian.ancestral(latent.z_t, left, network, noise, first=latent.opened, deviation=deviation)
            return found, len(left) - 1

    @property
    def _model_id(self) -> bytes:
        return bytes.fromhex(self.model.sha256)[: file.MODEL_ID_BYTES]

    def _header(self, width: int, height: int, seed: int) -> file.Header:
        """The header of a file of an image; ValueError for values that it cannot hold."""
        settings, unit = self.settings, self._tile_unit
        header = file.Header(
            model_id=self._model_id,
            word_bits=settings.word_bits,
            coefficient_bits=settings.coefficient_bits,
            tile_size=min(self.model.image_size, -(-max(height, width) // unit) * unit),
            vectors=settings.vectors,
            n_coded=settings.n_coded,
            n_free=settings.n_free,
            depth=1,
            spacing=round(settings.spacing * SPACING_UNITS),
            width=width,
            height=height,
            seed=seed,
        )
        _require(header.faults(), f"{width}x{height} pixels")
        header = replace(header, depth=self._depth(header))
        _require(header.faults(), f"gamma_end {settings.gamma_end}")
        return header

    def _depth(self, header: file.Header) -> int:
        schedule = self.model.schedule
        if self.settings.gamma_end is not None:
            return round((schedule.gamma_max - self.settings.gamma_end) * DEPTH_UNITS)
        tile_bits = header.n_coded * header.method.n_bits
        return depth_for(tile_bits / header.tile_size**2, schedule)

    @property
    def _tile_unit(self) -> int:
        return math.lcm(_TILE_UNIT, self.model.denoiser.size_unit)

    def _macs(self, tile_size: int) -> int:
        """Multiply-accumulates of a network call for one tile."""
        if tile_size not in self._counted:
            network = copy.deepcopy(self.model.denoiser).to("meta")  # shapes only: nothing is computed
            self._counted[tile_size] = multiply_accumulates(network, self.model.schedule.step(0), tile_size).opening
        return self._counted[tile_size]

    def _coder(self, header: file.Header) -> CodebookCoder:
        return CodebookCoder(self.model, header.method, header.levels)


def _faults(model: Model) -> Iterator[str]:
    """Reasons why a model cannot code files of images."""
    if model.image_size == 1:
        yield "it is a model of points, not of images"
        return
    if model.denoiser.channels != _CHANNELS:
        yield f"its images have {model.denoiser.channels} channels, not {_CHANNELS}"
    if not model.denoiser.any_schedule:
        yield "it has a network for each of its steps; take a model of one network for all noise levels"
    if file.TILE_SIZE.fault(model.image_size):
        yield f"a file holds tiles of {file.TILE_SIZE.allowed} pixels a side, not of image_size {model.image_size}"


def _require(faults: Iterator[str], of: str) -> None:
    for fault in faults:
        raise ValueError(f"{of}: {fault}")


def _groups(headers: Sequence[file.Header]) -> Iterator[list[int]]:
    """Places of images that are coded together: of equal tiles, and not too many at once."""
    order = sorted(range(len(headers)), key=lambda place: headers[place].tile_size)
    group: list[int] = []
    for place in order:
        products = sum(headers[i].n_tiles for i in [*group, place]) << headers[place].word_bits
        if group and (headers[group[0]].tile_size != headers[place].tile_size or products > _MAX_PRODUCTS):
            yield group
            group = []
        group.append(place)
    if group:
        yield group
