"""From the streams of chunks to their tiles, step by step and section by section."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from uqdm.codec import StreamError
from uqdm.coding import grids, previews
from uqdm.coding.ans import DamagedStreamError, Reader
from uqdm.coding.container import Container
from uqdm.coding.grids import Cells, Grid
from uqdm.coding.lattice import MAX_LATENT
from uqdm.coding.randomness import dither, start
from uqdm.diffusion.reconstruct import Uniform, ancestral, flow
from uqdm.diffusion.window import Window
from uqdm.model.arithmetic import float32_arithmetic
from uqdm.progressive.encoder import (
    CHECK_MASK,
    last_stage_ideal_bits,
    latent_check,
    levels_check,
    means_check,
    step_ideal_bits,
    whole_window,
)
from uqdm.progressive.predictor import OpenStep, Outputs, Predictor, data_rows

_NOISE_STREAM = 1 << 32  # apart from the streams of coding, which count steps


@dataclass
class ChunkState:
    """A chunk in the middle of decoding: after ``n_done`` steps it holds the latents of its tiles, int64 [B, D].

    ``n_s`` are those of the step in work, as far as its sections are decoded. ``window`` is the first and last level
    [B, D] that they leave, where the model's densities are bounded; else, after the last step, what that one leaves.
    """

    container: Container
    chunk: int
    predictor: Predictor
    n_done: int = 0
    crc: int = 0
    opened: OpenStep | None = None
    """What the network made of the latents."""
    grids: list[Grid] = field(default_factory=list)
    """How the outputs of a step are rounded, by tile."""
    outputs: Outputs | None = None
    cells: Cells | None = None
    """The outputs of a section, rounded; arrays are [B, N]."""
    preview: np.ndarray | None = None
    """Levels [B, D] of the picture after the steps so far, where a file tells how it is rounded."""
    levels: np.ndarray | None = None
    ideal_bits: list[float] | None = None
    """Filled step by step if it is a list."""

    def __post_init__(self) -> None:
        header = self.container.header
        self.positions = list(header.chunks[self.chunk])
        self.reader: Reader | None = None
        self.seeds = [header.seed] * len(self.positions)
        self._start()

    def open(self, n_stages: int) -> None:
        """Opens the stream up to ``n_stages`` stages, and reads the tiles' seeds."""
        header = self.container.header
        try:
            self.reader = Reader(self.container.stream(self.chunk, n_stages))
            if header.seed_bits:
                self.seeds = [header.seed + self.reader.raw(header.seed_bits) for _ in self.positions]
        except DamagedStreamError as error:
            raise self._damaged(1, error) from error
        self._start()

    def _start(self) -> None:
        self.n_t = np.stack([start(seed, self.predictor.n_coordinates) for seed in self.seeds])
        self.n_s = np.zeros_like(self.n_t)
        self.window = whole_window(self.n_t)

    def open_step(self, opened: OpenStep) -> None:
        """Takes what the network made of the latents so far; reads how to round the picture that it shows."""
        self.opened = opened
        if self.predictor.format_version == 1 or self.n_done == 0:
            return
        assert self.reader is not None
        try:
            shown = np.stack([previews.read(self.reader, row) for row in opened.x_hat])
        except DamagedStreamError as error:
            raise self._damaged(self.n_done, error) from error
        self.preview = np.clip(shown, *self.window)

    def round_section(self, number: int, outputs: Outputs) -> None:
        """Rounds the outputs of a section; before the first one, reads how."""
        assert self.reader is not None
        size, begin = self.predictor.n_coordinates, self.predictor.sections[self.n_done].bounds[number]
        try:
            if number == 0:
                self.grids = [grids.read(self.reader, size) for _ in self.positions]
        except DamagedStreamError as error:
            raise self._damaged(self._stage_of_grids, error) from error
        rows = zip(self.grids, outputs.mean_bins, outputs.log2_scale, strict=True)
        cells = [grid.round(mean, scale, begin) for grid, mean, scale in rows]
        self.outputs = outputs
        self.cells = Cells(np.stack([cell.mean for cell in cells]), np.stack([cell.scale for cell in cells]))

    @property
    def _stage_of_grids(self) -> int:
        return max(self.n_done, 1) if self.predictor.format_version == 1 else self.n_done + 1

    def read_section(self, number: int) -> None:
        """Decodes the symbols of a section with its rounded outputs."""
        assert self.reader is not None
        assert self.cells is not None
        assert self.outputs is not None
        index, places = self.n_done, self.predictor.sections[self.n_done].places(number)
        lattice = self.predictor.lattice[index]
        if number == 0:
            self._begin_step()
        n_t, j = self.n_t[:, places], self._dither[:, places]
        known = lattice.known_location(n_t, j)
        left = self.window[0][:, places], self.window[1][:, places]
        bounds = lattice.bounds(n_t, *left, j) if self.predictor.bounded else None
        locations, scales = (known + self.cells.mean).ravel(), self.cells.scale.ravel()
        try:
            if bounds is None:
                symbols = self.reader.symbols(locations, scales)
            else:
                symbols = self.reader.bounded(locations, scales, bounds.flat)
        except DamagedStreamError as error:
            raise self._damaged(index + 1, error) from error
        symbols = symbols.reshape(known.shape)
        if self.ideal_bits is not None:
            self.ideal_bits[-1] += float(step_ideal_bits(symbols, known, self.outputs, bounds).sum())
        latents = lattice.latent(symbols, j)
        if np.abs(latents).max() > MAX_LATENT:
            raise self._damaged(index + 1, "a latent is out of range")
        self.n_s[:, places] = latents
        if self.predictor.bounded or index + 1 == len(self.predictor.steps):
            self.window[0][:, places], self.window[1][:, places] = lattice.narrow(n_t, symbols, j, *left)

    def _begin_step(self) -> None:
        size = self.predictor.n_coordinates
        tiles = zip(self.seeds, self.positions, strict=True)
        self._dither = np.stack([dither(seed, self.n_done + 1, position, size) for seed, position in tiles])
        self.n_s = np.zeros_like(self.n_t)
        if self.ideal_bits is not None:
            self.ideal_bits.append(0.0)

    def end_step(self) -> None:
        """The latents move on."""
        self.n_t = self.n_s
        self.crc = latent_check(self.n_t, self.crc)
        self.n_done += 1

    def check_step(self) -> None:
        """Compares the check value of the steps so far, and of what their picture is made from."""
        if self.n_done < len(self.predictor.steps):
            self.crc = self._check_picture()
        elif self.predictor.lattice[-1].window_is_free:
            self.read_last_stage()  # the check value of the last step is that of the pixels
        expected = self.container.stages[self.chunk][self.n_done - 1].check
        if expected is not None and self.crc & CHECK_MASK != expected:
            raise self._damaged(self.n_done, "its check value differs")

    def _check_picture(self) -> int:
        if self.preview is not None:
            return levels_check(self.preview, self.crc)
        assert self.cells is not None
        return means_check(self.cells.mean, self.crc)

    def read_last_stage(self) -> None:
        """Decodes the pixels from the window that the last two latents leave; checks them."""
        assert self.reader is not None
        first, last = self.window
        self.levels = first
        try:
            if not self.predictor.lattice[-1].window_is_free:
                self.levels = first + self.reader.choices((last - first + 1).ravel()).reshape(first.shape)
            found = self.reader.check()
        except DamagedStreamError as error:
            raise self._damaged(len(self.container.stages[self.chunk]), error) from error
        if found != levels_check(self.levels, self.crc):
            raise self._damaged(len(self.container.stages[self.chunk]), "its check value differs")
        if self.ideal_bits is not None:
            self.ideal_bits.append(float(last_stage_ideal_bits(self.predictor, self.levels, self.n_t).sum()))

    def picture(self, wanted: Wanted) -> np.ndarray:
        """Levels int64 [B, D] of a picture at the present step."""
        if wanted.step is None:
            assert self.levels is not None
            return self.levels
        if wanted.reconstruction == "denoise":
            return self.denoised()
        return self.sampled(wanted.reconstruction, wanted.noise_seed)

    def denoised(self) -> np.ndarray:
        """Levels int64 [B, D] of x_hat: from its rounded value, which is the same on every machine."""
        if self.n_done == 0:  # nothing is read yet; these outputs are computed in float64
            return _nearest_level(np.concatenate([self.predictor.first(seed).x_hat for seed in self.seeds]))
        if self.n_done == len(self.predictor.steps):
            return self.nearest()
        if self.preview is not None:
            return self.preview.astype(np.int64)
        assert self.cells is not None
        step = self.predictor.steps[self.n_done]
        return _nearest_level(self.cells.mean * (step.width / step.x_weight / 65536))

    def nearest(self) -> np.ndarray:
        """The most probable levels given z_0 alone, or those nearest to them that are possible if that is known."""
        nearest = _nearest_level(self.n_t * (self.predictor.lattice[-1].unit / self.predictor.steps[-1].alpha_s))
        return np.clip(nearest, *self.window) if self.predictor.bounded else nearest

    def sampled(self, reconstruction: str, noise_seed: int) -> np.ndarray:
        """Levels by ``ancestral`` sampling or by the ``flow``, in the network's precision.

        Unlike the denoised picture these are floating-point results: machines may differ by a level here and there.
        """
        if self.n_done == len(self.predictor.steps):
            return self.nearest()
        steps, network = self.predictor.steps[self.n_done :], self.predictor.denoiser
        z_t = self.predictor.latents(self.n_done, self.n_t)
        first = (self.opened or self.predictor.open(0, self.n_t, self.seeds)).opened.to(z_t)
        with float32_arithmetic(), torch.inference_mode():
            if reconstruction == "flow":
                found = flow(network, z_t, first, steps)
            else:
                found = ancestral(network, z_t, first, steps, self._uniform(noise_seed), self._left(z_t))
        return _nearest_level(data_rows(found))

    def _left(self, z_t: torch.Tensor) -> Window | None:
        if not self.predictor.bounded:
            return None
        return Window(*(torch.from_numpy(level).to(z_t).reshape(z_t.shape) for level in self.window))

    def _uniform(self, noise_seed: int) -> Uniform:
        """Noise of each tile from a stream of its own, so that it does not depend on the batch."""

        def draw(index: int, shape: torch.Size) -> torch.Tensor:
            words = [
                np.random.Philox(key=[noise_seed, _NOISE_STREAM + self.n_done], counter=[0, position, index, 0])
                for position in self.positions
            ]
            rows = [generator.random_raw(self.predictor.n_coordinates) >> np.uint64(12) for generator in words]
            return torch.from_numpy((np.stack(rows) + 0.5) * 2.0**-52).reshape(shape)

        return draw

    def _damaged(self, stage: int, reason: object) -> StreamError:
        names = f"step {stage}" if stage <= len(self.predictor.steps) else "the last stage"
        return StreamError(f"{names} of the file is damaged: {reason}")


def _nearest_level(x: np.ndarray) -> np.ndarray:
    return np.clip(np.floor((x + 1) * 128), 0, 255).astype(np.int64)


@dataclass(frozen=True)
class Wanted:
    """A picture to make: after ``step`` 0..T, or None for the lossless one; and in which way."""

    step: int | None
    reconstruction: str = "denoise"
    noise_seed: int = 0


@dataclass(frozen=True)
class Decoded:
    """The levels of each chunk's tiles, int64 [B, D], for a wanted picture.

    ``seconds`` is what decoding up to the step took, and making this picture; not what other pictures took.
    """

    wanted: Wanted
    parts: list[np.ndarray]
    seconds: float


def decode_chunks(states: list[ChunkState], wanted: Sequence[Wanted]) -> Iterator[Decoded]:
    """Decodes chunks in step, each call of the network made once for all of them; yields in the order of the steps."""
    begun, aside = time.perf_counter(), 0.0
    for step in _steps(states, wanted):
        for item in wanted:
            if item.step == step:
                paused = time.perf_counter()
                parts = [state.picture(item) for state in states]
                now = time.perf_counter()
                yield Decoded(item, parts, now - begun - aside)
                aside += time.perf_counter() - paused


def _steps(states: list[ChunkState], wanted: Sequence[Wanted]) -> Iterator[int | None]:
    """Runs the steps that the pictures need; stops after each, and after the last stage (None)."""
    predictor = states[0].predictor
    n_steps = len(predictor.steps)
    lossless = any(item.step is None for item in wanted)
    last_step = n_steps if lossless else max(item.step for item in wanted if item.step is not None)
    yield 0
    if last_step == 0:
        return
    for state in states:
        state.open(len(state.container.stages[0]) if lossless else last_step)
    work = _Batch(predictor, states)
    for step in range(last_step):
        work.run(step)
        if step + 1 < n_steps:
            work.open(step + 1)
        for state in states:
            state.check_step()
        yield step + 1
    if lossless:
        for state in states:
            if state.levels is None:
                state.read_last_stage()
        yield None


class _Batch:
    """Chunks that are decoded in step, with calls of the network for all of them."""

    def __init__(self, predictor: Predictor, states: list[ChunkState]):
        self.predictor, self.states = predictor, states
        # Files of version 1 make the picture of a step from the rounded means of the next, and so round them early.
        self.early = predictor.format_version == 1
        ends = [0, *itertools.accumulate(len(state.positions) for state in states)]
        self.spans = list(itertools.pairwise(ends))
        self.seeds = [seed for state in states for seed in state.seeds]
        self.open(0)

    def open(self, index: int) -> None:
        """Opens a step; the latents before it are known."""
        self.opened = self.predictor.open(index, np.concatenate([state.n_t for state in self.states]), self.seeds)
        for state, span in zip(self.states, self.spans, strict=True):
            state.open_step(self.opened.rows(*span))
        if self.early:
            self._predict(0)

    def run(self, index: int) -> None:
        """Decodes a step, section by section."""
        for number in range(self.predictor.sections[index].count):
            if not self.early:
                self._predict(number)
            for state in self.states:
                state.read_section(number)
        for state in self.states:
            state.end_step()

    def _predict(self, number: int) -> None:
        outputs = self.predictor.predict(self.opened, number, np.concatenate([state.n_s for state in self.states]))
        for state, span in zip(self.states, self.spans, strict=True):
            state.round_section(number, outputs.rows(*span))
