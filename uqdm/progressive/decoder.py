"""From the streams of chunks to their tiles, step by step."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np

from uqdm.codec import StreamError
from uqdm.coding import grids
from uqdm.coding.ans import DamagedStreamError, Reader
from uqdm.coding.container import Container
from uqdm.coding.grids import Cells
from uqdm.coding.lattice import MAX_LATENT
from uqdm.coding.randomness import dither, start
from uqdm.progressive.encoder import CHECK_MASK, latent_check
from uqdm.progressive.predictor import Outputs, Predictor


@dataclass
class ChunkState:
    """A chunk in the middle of decoding: after ``n_done`` steps it holds the latents of its tiles, int64 [B, D]."""

    container: Container
    chunk: int
    predictor: Predictor
    n_done: int = 0
    crc: int = 0
    cells: list[Cells] = field(default_factory=list)
    levels: np.ndarray | None = None

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
            self.cells = [grids.read(self.reader, *row) for row in rows]
        except DamagedStreamError as error:
            raise self._damaged(max(self.n_done, 1), error) from error

    def read_step(self) -> None:
        """Decodes the next step's symbols with the rounded outputs; the latents move on."""
        index, lattice = self.n_done, self.predictor.lattice[self.n_done]
        assert self.reader is not None
        for row, (position, cell) in enumerate(zip(self.positions, self.cells, strict=True)):
            j = dither(self.seeds[row], index + 1, position, self.predictor.n_coordinates)
            known = lattice.known_location(self.n_t[row], j)
            try:
                symbols = self.reader.symbols(known + cell.mean, cell.scale)
            except DamagedStreamError as error:
                raise self._damaged(index + 1, error) from error
            latents = lattice.latent(symbols, j)
            if np.abs(latents).max() > MAX_LATENT:
                raise self._damaged(index + 1, "a latent is out of range")
            self.crc = latent_check(latents, self.crc)
            if index + 1 == len(self.predictor.steps):
                self._keep_window(row, symbols, j)
            self.n_t[row] = latents
        self.n_done += 1

    def check_step(self) -> None:
        """Compares the check value of the steps so far."""
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

    def picture(self) -> np.ndarray:
        """Denoised levels int64 [B, D] from the rounded outputs: the same on every machine."""
        step = self.predictor.steps[self.n_done]
        x_hat = np.stack([cell.mean for cell in self.cells]) * (step.width / step.x_weight / 65536)
        return _nearest_level(x_hat)

    def first_picture(self) -> np.ndarray:
        """Denoised levels from z_T alone."""
        return _nearest_level(np.concatenate([self.predictor.first(seed).x_hat for seed in self.seeds]))

    def final_picture(self) -> np.ndarray:
        """The most probable levels given z_0 alone."""
        return _nearest_level(self.n_t * (self.predictor.lattice[-1].unit / self.predictor.steps[-1].alpha_s))

    def _damaged(self, stage: int, reason: object) -> StreamError:
        names = f"step {stage}" if stage <= len(self.predictor.steps) else "the last stage"
        return StreamError(f"{names} of the file is damaged: {reason}")


def _nearest_level(x: np.ndarray) -> np.ndarray:
    return np.clip(np.floor((x + 1) * 128), 0, 255).astype(np.int64)
