"""Running a denoiser for the coder: from integer latents to the outputs that the coder rounds."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.coding.container import CHUNK_TILES
from uqdm.coding.lattice import START_UNIT
from uqdm.coding.randomness import start
from uqdm.diffusion.density import LOGISTIC_SCALE_PER_DEVIATION
from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser, Opened
from uqdm.progressive.codable import CHANNELS, lattice_faults, lattice_of
from uqdm.progressive.device import checked_device, decoded_at_once, encoded_at_once, measured_bytes, to_device, to_host


def padded(rows: np.ndarray, count: int) -> np.ndarray:
    """Rows [B, ...] with the last one repeated up to ``count``.

    >>> padded(np.array([[1], [2]]), 4)[:, 0].tolist()
    [1, 2, 2, 2]
    """
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])


@dataclass(frozen=True)
class Sections:
    """The order in which a step's coordinates are coded: by section, and within a section by number."""

    order: np.ndarray
    """Numbers of the coordinates, int64 [D]."""
    bounds: list[int]
    """Index in the order at which each section begins, and D."""

    @property
    def count(self) -> int:
        """Number of sections."""
        return len(self.bounds) - 1

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Begin and end of each section in the order."""
        return list(itertools.pairwise(self.bounds))

    def places(self, number: int) -> np.ndarray | slice:
        """Numbers of the coordinates of a section, int64 [N], or all of them."""
        return slice(None) if self.count == 1 else self.order[self.bounds[number] : self.bounds[number + 1]]


@dataclass(frozen=True)
class Outputs:
    """Predictions of a section, or of all of a step, for tiles; float64 [B, N] in the order of coding."""

    x_hat: np.ndarray
    """Estimate of the data for coding, clipped to [-1, 1]."""
    mean_bins: np.ndarray
    """Share of x_hat in the location of the symbols, in bins."""
    log2_scale: np.ndarray
    """Binary logarithm of the logistic's scale, in bins."""

    @classmethod
    def joined(cls, parts: Sequence[Outputs]) -> Outputs:
        """Concatenates outputs along the tiles."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    def rows(self, begin: int, end: int) -> Outputs:
        """The outputs of tiles ``begin`` to ``end``."""
        return Outputs(self.x_hat[begin:end], self.mean_bins[begin:end], self.log2_scale[begin:end])


@dataclass(frozen=True)
class OpenStep:
    """A step of B tiles with the network's outputs for their latents z_t, before any of its symbols is decoded."""

    index: int
    z_t: torch.Tensor
    opened: Opened

    @property
    def x_hat(self) -> np.ndarray:
        """Estimate of the data for pictures, clipped to [-1, 1]: float64 [B, D], channel by channel."""
        return data_rows(self.opened.x_hat.clamp(-1, 1))

    def rows(self, begin: int, end: int) -> OpenStep:
        """The step of tiles ``begin`` to ``end``."""
        features = tuple(feature[begin:end] for feature in self.opened.features)
        return OpenStep(self.index, self.z_t[begin:end], Opened(self.opened.x_hat[begin:end], features))


class Predictor:
    """A model's denoiser with the lattice of its schedule.

    A step is opened once, and then each of its sections is predicted from the sections before it. ``double`` runs the
    denoiser in float64; the first step always runs in float64, since it depends on little but the seed.
    """

    @float32_arithmetic()
    def __init__(self, model: Model, device: str = "cpu", *, double: bool = False):
        self.model, self.device = model, checked_device(device)
        self.dtype = torch.float64 if double else torch.float32
        self.denoiser = copy.deepcopy(model.denoiser).to(self.device, self.dtype)
        self.denoiser.to(memory_format=model.denoiser.memory_format)  # type: ignore[call-overload]
        self._exact = self.denoiser if double else copy.deepcopy(model.denoiser).to(self.device, torch.float64)
        for fault in lattice_faults(model.schedule, bounded=self.bounded):
            raise ValueError(f"{model.name}: {fault}")
        self.steps = model.schedule.steps()
        self.lattice = lattice_of(self.steps)
        self.sections = [self._sections(index) for index in range(len(self.steps))]
        self._places = functools.cache(self._places_on_device)
        self._kept = functools.lru_cache(maxsize=256)(self._first)

    @functools.cached_property
    def decoded_at_once(self) -> int:
        """Largest batch size of the decoder's network calls."""
        return decoded_at_once(self.device, self._tile_bytes)

    def _tile_bytes(self) -> int:
        n_t = np.zeros((CHUNK_TILES, self.n_coordinates), np.int64)
        # The network of the last step is at least as large as the others.
        call = functools.partial(self._open, self.denoiser, len(self.steps) - 1, n_t)
        return -(-measured_bytes(self.device, call) // CHUNK_TILES)

    def _sections(self, index: int) -> Sections:
        step, size = self.steps[index], self.model.image_size
        count = self.model.denoiser.n_sections(step)
        section = self.model.denoiser.section_of(step, CHANNELS, size, size).flatten().numpy()
        counts = np.bincount(section, minlength=count)
        if len(counts) != count or not counts.all():
            raise ValueError(f"step {index + 1}: its {count} sections have {counts.tolist()} coordinates")
        return Sections(np.argsort(section, kind="stable"), [0, *np.cumsum(counts).tolist()])

    @property
    def bounded(self) -> bool:
        """Whether densities are zero where the data cannot be, given all latents so far."""
        return self.model.denoiser.bounded

    @property
    def format_version(self) -> int:
        """Version of the model's files: 1 where coordinates are independent given z_t and densities are not bounded."""
        return 2 if self.bounded or any(sections.count > 1 for sections in self.sections) else 1

    @property
    def n_coordinates(self) -> int:
        """Coordinates D of a tile."""
        return CHANNELS * self.model.image_size**2

    def unit(self, index: int) -> float:
        """Unit of the integer latents before step ``index``, in data units."""
        return START_UNIT if index == 0 else self.lattice[index - 1].unit

    @property
    def first_depends_on_seed(self) -> bool:
        """Whether the first step's outputs depend on z_T."""
        return self.model.denoiser.needs_input(self.steps[0])

    @property
    def seeds_are_cheap(self) -> bool:
        """Whether the first step depends on the seed, and its outputs can be cached for each."""
        return self.first_depends_on_seed and self.sections[0].count == 1

    def first(self, seed: int) -> OpenStep:
        """Step 0 of one tile, opened with the z_T of a seed; cached."""
        return self._kept(seed if self.first_depends_on_seed else 0)[0]

    def first_outputs(self, seed: int, n_s: np.ndarray) -> Outputs:
        """All outputs of step 0 of one tile with latents n_s, int64 [1, D], after it; cached if independent of n_s."""
        opened, outputs = self._kept(seed if self.first_depends_on_seed else 0)
        return outputs or self.predict_all(opened, n_s)

    def _first(self, seed: int) -> tuple[OpenStep, Outputs | None]:
        n_t = start(seed, self.n_coordinates)[None]
        opened = self._open(self._exact, 0, n_t)
        return opened, self.predict_all(opened, n_t) if self.sections[0].count == 1 else None

    def open(self, index: int, n_t: np.ndarray, seeds: list[int]) -> OpenStep:
        """Calls the network of step ``index`` for latents int64 [B, D] of tiles with ``seeds``."""
        if index == 0:
            return _stack([self.first(seed) for seed in seeds])
        return self._open(self.denoiser, index, n_t)

    def _open(self, denoiser: Denoiser, index: int, n_t: np.ndarray) -> OpenStep:
        z_t = self.latents(index, n_t).to(next(denoiser.parameters()).dtype)
        with float32_arithmetic(), torch.inference_mode():
            return OpenStep(index, z_t, denoiser.begin(z_t, self.steps[index]))

    def predict(self, opened: OpenStep, number: int, n_s: np.ndarray) -> Outputs:
        """Predicts a section from the latents n_s, int64 [B, D], of earlier sections; other latents are ignored."""
        z_s = self.latents(opened.index + 1, n_s).to(opened.z_t) if number else torch.zeros_like(opened.z_t)
        return self._predict(opened, number, z_s)

    def _predict(self, opened: OpenStep, number: int, z_s: torch.Tensor) -> Outputs:
        index = opened.index
        step = self.steps[index]
        denoiser = self._exact if index == 0 else self.denoiser
        with float32_arithmetic(), torch.inference_mode():
            prediction = denoiser.condition(opened.opened, opened.z_t, z_s, number, step)
            section = [self._section(value, index, number) for value in (prediction.x_hat, prediction.scale)]
        x_hat, scale = to_host(torch.stack(section))
        x_hat, scale_bins = x_hat.clip(-1, 1), scale * (LOGISTIC_SCALE_PER_DEVIATION / step.width)
        return Outputs(x_hat, x_hat * (step.x_weight / step.width), np.log2(scale_bins))

    def _places_on_device(self, index: int, number: int) -> torch.Tensor:
        sections = self.sections[index]
        return torch.from_numpy(sections.order[slice(*sections.spans[number])]).to(self.device)

    def _section(self, values: torch.Tensor, index: int, number: int) -> torch.Tensor:
        """The values of a section out of [B, 3, H, W]: [B, N] in the order of coding."""
        rows = values.double().flatten(1)
        return rows if self.sections[index].count == 1 else rows.index_select(1, self._places(index, number))

    def predict_all(self, opened: OpenStep, n_s: np.ndarray) -> Outputs:
        """The outputs of all sections, given all latents n_s, int64 [B, D], of the step."""
        z_s = self.latents(opened.index + 1, n_s).to(opened.z_t)
        parts = [self._predict(opened, number, z_s) for number in range(self.sections[opened.index].count)]
        names = ("x_hat", "mean_bins", "log2_scale")
        return Outputs(*(np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names))

    def encoding(self, index: int, n_t: np.ndarray, n_s: np.ndarray, seeds: list[int]) -> tuple[np.ndarray, Outputs]:
        """x_hat of :meth:`open`, and the outputs of :meth:`predict_all`, given all latents int64 [B, D].

        A tile's outputs do not depend on the other tiles, bit for bit (see :func:`encoded_at_once`).
        """
        if index == 0:
            alone = [(self.first(seed), n_s[row : row + 1]) for row, seed in enumerate(seeds)]
            parts = [self.first_outputs(seed, known) for seed, (_, known) in zip(seeds, alone, strict=True)]
            return np.concatenate([opened.x_hat for opened, _ in alone]), Outputs.joined(parts)
        at_once = encoded_at_once(self.device)
        begins = range(0, len(n_t), at_once)
        # All calls are queued on a GPU before the first result is waited for.
        known = [padded(n_s[begin : begin + at_once], at_once) for begin in begins]
        opened = [self.open(index, padded(n_t[begin : begin + at_once], at_once), []) for begin in begins]
        parts = [self.predict_all(*pair) for pair in zip(opened, known, strict=True)]
        x_hat = np.concatenate([one.x_hat for one in opened])
        return x_hat[: len(n_t)], Outputs.joined(parts).rows(0, len(n_t))

    def latents(self, index: int, n_t: np.ndarray) -> torch.Tensor:
        """The network's input [B, 3, H, W] for integer latents [B, D] before step ``index``."""
        size = self.model.image_size
        z = to_device(n_t * self.unit(index), self.device, self.dtype)
        return z.reshape(-1, CHANNELS, size, size).contiguous(memory_format=self.model.denoiser.memory_format)


def _stack(parts: list[OpenStep]) -> OpenStep:
    features = zip(*(part.opened.features for part in parts), strict=True)
    x_hat, z_t = torch.cat([part.opened.x_hat for part in parts]), torch.cat([part.z_t for part in parts])
    return OpenStep(parts[0].index, z_t, Opened(x_hat, tuple(torch.cat(feature) for feature in features)))


def data_rows(values: torch.Tensor) -> np.ndarray:
    """Values [B, 3, H, W] in the order of coding, float64 [B, D]."""
    return to_host(values.flatten(1))
