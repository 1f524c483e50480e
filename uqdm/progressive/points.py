"""Files of points: blocks of them, coded by a model of points in the way of image tiles.

A model of points processes one point at a time, and its levels are standardized. With x = c + h (2 v - 255) / 256 for
level v of a coordinate, z - alpha c follows the process of images whose range is +-h: latents are stored in this form,
and :mod:`uqdm.coding` is used unchanged. The network always runs in float64. ``docs/format.md`` has the layout.
"""

from __future__ import annotations

import copy
import zlib
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import StreamError
from uqdm.coding import grids
from uqdm.coding.ans import DamagedStreamError, Reader, Writer
from uqdm.coding.grids import Tolerance
from uqdm.coding.lattice import MAX_LATENT, START_UNIT, LatticeStep
from uqdm.coding.randomness import dither, start
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION
from uqdm.diffusion.levels import levels_of
from uqdm.diffusion.process import last_stage_bits, step_bits
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Prediction
from uqdm.model.schedule import Step

MAGIC = b"UP"
VERSION = 1
MODEL_ID_BYTES = 3
HEADER_BYTES = len(MAGIC) + 1 + MODEL_ID_BYTES + 2
MAX_POINTS = 1 << 16
EPS = 2.0**-32
"""Tolerance of a file for differences between machines: of x_hat, and of the scale's exponent in octaves."""


@dataclass(frozen=True)
class _Opened:
    """A step with what the network made of z_t; arrays [D], channel by channel."""

    step: Step
    z_t: torch.Tensor
    prediction: Prediction
    mean_bins: np.ndarray
    log2_scale: np.ndarray


@dataclass(frozen=True)
class _Lattice:
    """The lattice of a step: coordinates of different channels have constants of their own."""

    channels: list[LatticeStep]

    def quantize(self, n_t: np.ndarray, levels: np.ndarray, j: np.ndarray) -> np.ndarray:
        parts = zip(self.channels, *(self._split(array) for array in (n_t, levels, j)), strict=True)
        return np.concatenate([lattice.quantize(*of) for lattice, *of in parts])

    def window(self, n_t: np.ndarray, k: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = zip(self.channels, *(self._split(array) for array in (n_t, k, j)), strict=True)
        first, count = zip(*(lattice.window(*of) for lattice, *of in parts), strict=True)
        return np.concatenate(first), np.concatenate(count)

    def known_location(self, n_t: np.ndarray, j: np.ndarray) -> np.ndarray:
        return self.channels[0].known_location(n_t, j)  # does not depend on the data

    def latent(self, k: np.ndarray, j: np.ndarray) -> np.ndarray:
        return self.channels[0].latent(k, j)

    @property
    def unit(self) -> float:
        return self.channels[0].unit

    def _split(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(len(self.channels), -1)


class PointsCodec:
    """Codes blocks of points, uint8 [n, C], with a model of points; files are progressive to lossless.

    ``model`` must be of the uniform process with logistic densities; its noise has seed 0. Raises ValueError for other
    models.

    >>> from uqdm.model.checkpoint import as_model, build
    >>> config = {
    ...     "image_size": 1,
    ...     "levels": {"mean": [115.6, 135.3], "deviation": [47.2, 41.6]},
    ...     "schedule": {"slope": 14.0, "gamma_max": 5.0, "n_steps": 5},
    ...     "denoiser": {"kind": "points", "width": 8},
    ... }
    >>> codec = PointsCodec(as_model("blank", build(config)[0], config))
    >>> codec.decompress(codec.compress(np.array([[7, 255], [128, 0]], np.uint8))).tolist()
    [[7, 255], [128, 0]]
    """

    @float32_arithmetic()
    def __init__(self, model: Model):
        if model.process != "uniform" or model.denoiser.density != "logistic" or model.image_size != 1:
            raise ValueError(f"{model.name}: files of points need a model of points, uniform process, logistic density")
        self.model, self.levels = model, levels_of(model.config)
        self.steps = model.schedule.steps()
        self._denoiser = copy.deepcopy(model.denoiser).double()
        spacing = np.array(self.levels.spacing)
        self._centre = np.array(self.levels.first) + 127.5 * spacing  # (C,)
        self._lattices = self._make_lattices(128 * spacing)

    def _make_lattices(self, half_range: np.ndarray) -> list[_Lattice]:
        lattices: list[_Lattice] = []
        for step in self.steps:
            unit = lattices[-1].unit if lattices else START_UNIT
            weights = [float(h * step.x_weight) for h in half_range]
            lattices.append(_Lattice([LatticeStep.make(unit, step.z_weight, w, step.width) for w in weights]))
        return lattices

    @property
    def model_id(self) -> bytes:
        """The first bytes of the model's digest, which are in the file."""
        return bytes.fromhex(self.model.sha256)[:MODEL_ID_BYTES]

    @property
    def n_channels(self) -> int:
        """Coordinates of a point."""
        return len(self.levels.first)

    # ---- coding ---------------------------------------------------------------------------------------------

    @float32_arithmetic()
    def compress(self, points_uint8: np.ndarray) -> bytes:
        """A file of a block of 1 to 65,536 points, uint8 [n, C]. Raises ValueError for other arrays."""
        levels, writer, check = self._coordinates(points_uint8), Writer(), 0
        n_t = self._start(len(points_uint8))
        for index, lattice in enumerate(self._lattices):
            opened, j = self._open(index, n_t), dither(0, index + 1, 0, n_t.size)
            cells = grids.write(writer, opened.mean_bins, opened.log2_scale, self._tolerance(index))
            k, known = lattice.quantize(n_t, levels, j), lattice.known_location(n_t, j)
            writer.symbols(k, known + cells.mean, cells.scale)
            previous, n_t = n_t, lattice.latent(k, j)
            check = _crc(n_t, check)
        first, count = lattice.window(previous, k, j)
        writer.choices(levels - first, count)
        stream, _ = writer.finish(_crc(levels, check))
        head = MAGIC + bytes([VERSION]) + self.model_id + (len(points_uint8) - 1).to_bytes(2, "big")
        return head + stream

    @float32_arithmetic()
    def decompress(self, data: bytes, step: int | None = None) -> np.ndarray:
        """The points of a file, uint8 [n, C], or their estimate after ``step`` 0..T steps.

        A prefix of a file can be decoded to its whole steps. Raises :class:`uqdm.codec.StreamError`.
        """
        if step is not None and not 0 <= step <= len(self.steps):
            raise ValueError(f"step={step}: must be in 0..{len(self.steps)}, or None for the points themselves")
        n_points, stream = self._parse(data)
        n_t, check = self._start(n_points), 0
        try:
            if step == 0:
                return self._estimate(0, n_t)
            reader = Reader(stream)
            for index, lattice in enumerate(self._lattices):
                k, j = self._read(reader, index, n_t)
                previous, n_t = n_t, lattice.latent(k, j)
                if np.abs(n_t).max() > MAX_LATENT:
                    raise StreamError(f"step {index + 1} is damaged: a latent is out of range")
                check = _crc(n_t, check)
                if step == index + 1:
                    return self._estimate(step, n_t)
            first, count = lattice.window(previous, k, j)
            levels = first + reader.choices(count)
            if levels.max() > 255 or reader.check() != _crc(levels, check):
                raise StreamError("the file is damaged: its check value differs")
        except DamagedStreamError as error:
            raise StreamError(f"the file is cut or damaged: {error}") from error
        return self._points(levels)

    @float32_arithmetic()
    def ideal_bits(self, points_uint8: np.ndarray, *, window: bool = False) -> list[float]:
        """Ideal bits of a file of these points: of each step, then of the last stage.

        The last stage is counted as in the paper, by a softmax over all levels, or with ``window`` as in the file, as
        a choice among the levels that are possible within the bounds of the last step's noise.
        """
        levels, bits = self._coordinates(points_uint8), []
        n_t = self._start(len(points_uint8))
        for index, lattice in enumerate(self._lattices):
            opened, j = self._open(index, n_t), dither(0, index + 1, 0, n_t.size)
            k, previous = lattice.quantize(n_t, levels, j), n_t
            n_t = lattice.latent(k, j)
            z_s = self._latents(index + 1, n_t)
            found = step_bits(z_s, opened.z_t, opened.prediction, opened.step, levels=self.levels)
            bits.append(float(found.sum()))
        if window:
            return [*bits, float(np.log2(lattice.window(previous, k, j)[1]).sum())]
        x = self.levels.to_data(points_uint8[:, None, None, :]).double()
        return [*bits, float(last_stage_bits(x, z_s, opened.step, self.levels).sum())]

    # ---- parts ----------------------------------------------------------------------------------------------

    def _read(self, reader: Reader, index: int, n_t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Symbols and dither of a step."""
        opened, j = self._open(index, n_t), dither(0, index + 1, 0, n_t.size)
        cells = grids.read(reader, n_t.size).round(opened.mean_bins, opened.log2_scale)
        return reader.symbols(self._lattices[index].known_location(n_t, j) + cells.mean, cells.scale), j

    def _open(self, index: int, n_t: np.ndarray) -> _Opened:
        step, z_t = self.steps[index], self._latents(index, n_t)
        with torch.inference_mode():
            prediction = self._denoiser(z_t, step)
        mean = _row(prediction.x_hat - torch.from_numpy(self._centre)[:, None, None]) * (step.x_weight / step.width)
        scale = _row(prediction.scale.expand_as(z_t)) * (LOGISTIC_SCALE_PER_DEVIATION / step.width)
        return _Opened(step, z_t, Prediction(prediction.x_hat, prediction.scale), mean, np.log2(scale))

    def _tolerance(self, index: int) -> Tolerance:
        step = self.steps[index]
        return Tolerance(EPS * step.x_weight / step.width, EPS)

    def _start(self, n_points: int) -> np.ndarray:
        """n(0), int64 [D]: z_T is standard normal, shifted like all latents."""
        shift = np.round(self.steps[0].alpha_t * self._centre / START_UNIT).astype(np.int64)
        return start(0, n_points * self.n_channels) - np.repeat(shift, n_points)

    def _latents(self, index: int, n_t: np.ndarray) -> torch.Tensor:
        """z before step ``index``, float64 [n, C, 1, 1]."""
        unit = START_UNIT if index == 0 else self._lattices[index - 1].unit
        alpha = self.steps[index].alpha_t if index < len(self.steps) else self.steps[-1].alpha_s
        z = (n_t * unit).reshape(self.n_channels, -1) + alpha * self._centre[:, None]
        return torch.from_numpy(z.T.copy())[:, :, None, None]

    def _estimate(self, n_steps: int, n_t: np.ndarray) -> np.ndarray:
        """The nearest levels of x_hat, or after the last step of z_0 / alpha_0."""
        if n_steps < len(self.steps):
            x_hat = self._open(n_steps, n_t).prediction.x_hat
        else:
            x_hat = self._latents(n_steps, n_t) / self.steps[-1].alpha_s
        return self.levels.nearest(x_hat).flatten(1).numpy().astype(np.uint8)

    def _coordinates(self, points_uint8: np.ndarray) -> np.ndarray:
        shape, n = points_uint8.shape, self.n_channels
        if (
            points_uint8.dtype != np.uint8
            or len(shape) != 2
            or shape[1] != n
            or not 1 <= len(points_uint8) <= MAX_POINTS
        ):
            raise ValueError(f"expected uint8 [1 to {MAX_POINTS}, {n}], got {points_uint8.dtype} {list(shape)}")
        return points_uint8.T.reshape(-1).astype(np.int64)

    def _points(self, levels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(levels.reshape(self.n_channels, -1).T.astype(np.uint8))

    def _parse(self, data: bytes) -> tuple[int, bytes]:
        """Number of points, and the stream."""
        if data[: len(MAGIC)] != MAGIC:
            raise StreamError(f"not a file of points: it begins with {data[:4]!r}")
        if len(data) < HEADER_BYTES:
            raise StreamError(f"the file ends inside its header ({len(data)} bytes)")
        version, model_id = data[2], data[3 : 3 + MODEL_ID_BYTES]
        if version != VERSION:
            raise StreamError(f"format version {version} of points is unknown; this program reads version {VERSION}")
        if model_id != self.model_id:
            raise StreamError(
                f"the file was made with model {model_id.hex()}, not with {self.model.name} ({self.model_id.hex()}): "
                "load the model that made it"
            )
        return int.from_bytes(data[HEADER_BYTES - 2 : HEADER_BYTES], "big") + 1, data[HEADER_BYTES:]


def _row(values: torch.Tensor) -> np.ndarray:
    """Values [n, C, 1, 1] in the order of coding, float64 [D]."""
    return values.flatten(1).T.reshape(-1).contiguous().numpy()


def _crc(values: np.ndarray, check: int) -> int:
    return zlib.crc32(values.astype("<i4").tobytes(), check)
