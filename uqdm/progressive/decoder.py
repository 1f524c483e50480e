"""From the streams of chunks to their tiles, step by step."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from uqdm.codec import StreamError
from uqdm.coding import grids
from uqdm.coding.ans import DamagedStreamError, Reader
from uqdm.coding.container import Container
from uqdm.coding.grids import Cells
from uqdm.coding.lattice import MAX_LATENT
from uqdm.coding.randomness import dither, start
from uqdm.diffusion.reconstruct import Uniform, ancestral, flow
from uqdm.model.denoiser import Prediction
from uqdm.progressive.encoder import CHECK_MASK, cells_check, last_stage_ideal_bits, latent_check, step_ideal_bits
from uqdm.progressive.predictor import Outputs, Predictor, data_rows

_NOISE_STREAM = 1 << 32  # apart from the streams of coding, which count steps


@dataclass
class ChunkState:
    """A chunk in the middle of decoding: after ``n_done`` steps it holds the latents of its tiles, int64 [B, D]."""

    container: Container
    chunk: int
    predictor: Predictor
    n_done: int = 0
    crc: int = 0
    cells: list[Cells] = field(default_factory=list)
    outputs: Outputs | None = None
    levels: np.ndarray | None = None
    ideal_bits: list[float] | None = None
    """Filled step by step if it is a list."""

    def __post_init__(self) -> None:
        header = self.container.header
        self.positions = list(header.chunks[self.chunk])
        self.reader: Reader | None = None
        self.seeds = [header.seed] * len(self.positions)
        self._begin()

    def open(self, n_stages: int) -> None:
        """Opens the stream up to ``n_stages`` stages, and reads the tiles' seeds."""
        header = self.container.header
        try:
            self.reader = Reader(self.container.stream(self.chunk, n_stages))
            if header.seed_bits:
                self.seeds = [header.seed + self.reader.raw(header.seed_bits) for _ in self.positions]
        except DamagedStreamError as error:
            raise self._damaged(1, error) from error
        self._begin()

    def _begin(self) -> None:
        self.n_t = np.stack([start(seed, self.predictor.n_coordinates) for seed in self.seeds])

    def read_offsets(self, outputs: Outputs) -> None:
        """Reads how the outputs for the next step are to be rounded, and rounds them."""
        assert self.reader is not None
        try:
            rows = zip(outputs.mean_bins, outputs.log2_scale, strict=True)
            self.outputs = outputs
            self.cells = [grids.read(self.reader, *row) for row in rows]
        except DamagedStreamError as error:
            raise self._damaged(max(self.n_done, 1), error) from error

    def read_step(self) -> None:
        """Decodes the next step's symbols with the rounded outputs; the latents move on."""
        index, lattice = self.n_done, self.predictor.lattice[self.n_done]
        assert self.reader is not None
        assert self.outputs is not None
        ideal_bits = 0.0
        for row, (position, cell) in enumerate(zip(self.positions, self.cells, strict=True)):
            j = dither(self.seeds[row], index + 1, position, self.predictor.n_coordinates)
            known = lattice.known_location(self.n_t[row], j)
            try:
                symbols = self.reader.symbols(known + cell.mean, cell.scale)
            except DamagedStreamError as error:
                raise self._damaged(index + 1, error) from error
            if self.ideal_bits is not None:
                outputs = self.outputs.rows(row, row + 1)
                ideal_bits += float(step_ideal_bits(symbols[None], known[None], outputs)[0])
            latents = lattice.latent(symbols, j)
            if np.abs(latents).max() > MAX_LATENT:
                raise self._damaged(index + 1, "a latent is out of range")
            self.crc = latent_check(latents, self.crc)
            if index + 1 == len(self.predictor.steps):
                self._keep_window(row, symbols, j)
            self.n_t[row] = latents
        if self.ideal_bits is not None:
            self.ideal_bits.append(ideal_bits)
        self.n_done += 1

    def check_step(self) -> None:
        """Compares the check value of the steps so far, and of the rounded outputs that their picture is made from."""
        if self.n_done < len(self.predictor.steps):
            self.crc = cells_check(self.cells, self.crc)
        elif self.predictor.lattice[-1].window_is_free:
            self.read_last_stage()  # the check value of the last step is that of the pixels
        expected = self.container.stages[self.chunk][self.n_done - 1].check
        if expected is not None and self.crc & CHECK_MASK != expected:
            raise self._damaged(self.n_done, "its check value differs")

    def _keep_window(self, row: int, symbols: np.ndarray, j: np.ndarray) -> None:
        if row == 0:
            self._windows: list[tuple[np.ndarray, np.ndarray]] = []
        self._windows.append(self.predictor.lattice[-1].window(self.n_t[row], symbols, j))

    def read_last_stage(self) -> None:
        """Decodes the pixels from the window that the last two latents leave; checks them."""
        assert self.reader is not None
        free, crc, rows = self.predictor.lattice[-1].window_is_free, self.crc, []
        try:
            for first, counts in self._windows:
                rows.append(first if free else first + self.reader.choices(counts))
                crc = zlib.crc32(rows[-1].astype(np.uint8).tobytes(), crc)
            found = self.reader.check()
        except DamagedStreamError as error:
            raise self._damaged(len(self.container.stages[self.chunk]), error) from error
        if found != crc:
            raise self._damaged(len(self.container.stages[self.chunk]), "its check value differs")
        self.levels = np.stack(rows)
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
        step = self.predictor.steps[self.n_done]
        x_hat = np.stack([cell.mean for cell in self.cells]) * (step.width / step.x_weight / 65536)
        return _nearest_level(x_hat)

    def nearest(self) -> np.ndarray:
        """The most probable levels given z_0 alone."""
        return _nearest_level(self.n_t * (self.predictor.lattice[-1].unit / self.predictor.steps[-1].alpha_s))

    def sampled(self, reconstruction: str, noise_seed: int) -> np.ndarray:
        """Levels by ``ancestral`` sampling or by the ``flow``, in the network's precision.

        Unlike the denoised picture these are floating-point results: machines may differ by a level here and there.
        """
        if self.n_done == len(self.predictor.steps):
            return self.nearest()
        steps, predict = self.predictor.steps[self.n_done :], self.predictor.network
        z_t = self.predictor.latents(self.n_done, self.n_t)
        outputs = self.outputs or self.predictor.predict(0, self.n_t, self.seeds)
        first = Prediction(outputs.prediction.x_hat.to(z_t), outputs.prediction.scale.to(z_t))
        if reconstruction == "flow":
            return _nearest_level(data_rows(flow(z_t, first, steps, predict)))
        return _nearest_level(data_rows(ancestral(z_t, first, steps, predict, self._uniform(noise_seed))))

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
    _predict(predictor, 0, states)
    for step in range(1, last_step + 1):
        for state in states:
            state.read_step()
        if step < n_steps:
            _predict(predictor, step, states)
        for state in states:
            state.check_step()
        yield step
    if lossless:
        for state in states:
            if state.levels is None:
                state.read_last_stage()
        yield None


def _predict(predictor: Predictor, index: int, states: list[ChunkState]) -> None:
    n_t = np.concatenate([state.n_t for state in states])
    outputs = predictor.predict(index, n_t, [seed for state in states for seed in state.seeds])
    begin = 0
    for state in states:
        end = begin + len(state.positions)
        state.read_offsets(outputs.rows(begin, end))
        begin = end
