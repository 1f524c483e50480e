"""A model as a compressor: images to files and back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from uqdm.codec import StreamError, check_images
from uqdm.coding.container import CHUNK_TILES, MODEL_ID_BYTES, Container, Header, pack, parse
from uqdm.coding.grids import MarginError
from uqdm.model.checkpoint import Model
from uqdm.model.zoo import load_named
from uqdm.progressive import tiles, tolerance
from uqdm.progressive.decoder import ChunkState
from uqdm.progressive.encoder import CodedChunk, choose_seed, in_bins, send_tiles, write_chunk
from uqdm.progressive.predictor import Predictor

RECONSTRUCTIONS = ("denoise",)
MAX_SEEDS = 256
DEFAULT_SEEDS = 16


@dataclass(frozen=True)
class Compressed:
    """A file with its ideal bits by the paper's accounting: after 0, 1, ..., T steps, and lossless."""

    stream: bytes
    ideal_bits: list[float]
    seed: int


@dataclass(frozen=True)
class Picture:
    """A decoded image: ``step`` 0..T, or None for the lossless one."""

    step: int | None
    image_uint8: np.ndarray


def load_model(name_or_path: str | os.PathLike[str], *, weights: str = "ema", device: str = "cpu") -> UQDM:
    """Loads a shipped model by name or a model folder by path, ready to compress.

    ``weights`` matters for published checkpoints (see :func:`uqdm.model.checkpoint.load`).

    >>> model = load_model("uqdm-demo")
    >>> files = model.compress(np.zeros((2, 64, 64, 3), np.uint8))
    >>> model.decompress(files).shape
    (2, 64, 64, 3)
    """
    return UQDM(load_named(name_or_path, weights), device)


class UQDM:
    """Compresses uint8 images [H, W, 3] of any size to files of their own, and decodes prefixes of them.

    Images are cut into tiles of the model's size. A file decodes to the same pixels whatever the batch, the threads
    or the machine, as long as the network's outputs differ by less than the file bears (see ``docs/format.md``).
    """

    def __init__(self, model: Model, device: str = "cpu"):
        self.model, self.device = model, device
        self._predictors: dict[bool, Predictor] = {}
        self._tolerances: dict[bool, list[tolerance.StepTolerance]] = {}

    @property
    def n_steps(self) -> int:
        """T, the steps of a file before the lossless end."""
        return self.model.schedule.n_steps

    def _predictor(self, double: bool) -> Predictor:
        if double not in self._predictors:
            self._predictors[double] = Predictor(self.model, self.device, double=double)
        return self._predictors[double]

    def tolerances(self, double: bool = False) -> list[tolerance.StepTolerance]:
        """What differences between machines a file bears, by step."""
        if double not in self._tolerances:
            self._tolerances[double] = tolerance.of_model(self.model, double=double)
        return self._tolerances[double]

    # ---- compressing ----------------------------------------------------------------------------------------

    def compress(
        self, images: Sequence[np.ndarray] | np.ndarray, *, seed: int = 0, seeds: int | None = None
    ) -> list[bytes]:
        """Compresses images, uint8 [N, H, W, 3] or a list of [H, W, 3], each to a file that stands alone.

        For each tile the encoder takes the best of ``seeds`` (a power of two up to 256) starting at ``seed``; None
        means 16, or 1 where the model's first step looks at no latent.
        """
        return [item.stream for item in self.compress_detailed(images, seed=seed, seeds=seeds, ideal=False)]

    def compress_detailed(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
        *,
        seed: int = 0,
        seeds: int | None = None,
        ideal: bool = True,
    ) -> list[Compressed]:
        """As :meth:`compress`, with ideal bits (empty lists unless ``ideal``)."""
        check_images(list(images))
        n_seeds = self._n_seeds(seeds)
        try:
            return self._compress(images, seed, n_seeds, ideal, double=False)
        except MarginError:
            # Rare: some image's outputs crowd the boundaries. In float64 there is room for any.
            return [self._compress_one(image, seed, n_seeds, ideal) for image in images]

    def _n_seeds(self, seeds: int | None) -> int:
        if seeds is None:
            return DEFAULT_SEEDS if self._predictor(False).first_depends_on_seed else 1
        if not 1 <= seeds <= MAX_SEEDS or seeds & (seeds - 1):
            raise ValueError(f"seeds={seeds}: must be a power of two from 1 to {MAX_SEEDS}")
        return seeds

    def _compress_one(self, image: np.ndarray, seed: int, n_seeds: int, ideal: bool) -> Compressed:
        try:
            return self._compress([image], seed, n_seeds, ideal, double=False)[0]
        except MarginError:
            return self._compress([image], seed, n_seeds, ideal, double=True)[0]

    def _compress(
        self, images: Sequence[np.ndarray] | np.ndarray, seed: int, n_seeds: int, ideal: bool, double: bool
    ) -> list[Compressed]:
        headers = [self._header(image, seed, n_seeds, double) for image in images]
        jobs = [(i, chunk) for i, header in enumerate(headers) for chunk in header.chunks]
        coded: list[list[CodedChunk]] = [[] for _ in images]
        bits = np.zeros((len(headers), self.n_steps + 1))
        chosen = [seed] * len(headers)
        for batch in _batches(jobs):
            pieces = [tiles.to_coordinates(self._tiles(images[i], chunk)) for i, chunk in batch]
            positions = [position for _, chunk in batch for position in chunk]
            levels = np.concatenate(pieces)
            predictor = self._predictor(double)
            candidates = range(seed, seed + n_seeds)
            picked = [choose_seed(predictor, row, at, candidates) for row, at in zip(levels, positions, strict=True)]
            sent = send_tiles(predictor, levels, positions, picked, ideal=ideal)
            begin = 0
            for i, chunk in batch:
                part, begin = sent[begin : begin + len(chunk)], begin + len(chunk)
                coded[i].append(write_chunk(part, predictor, self.tolerances(double), seed, headers[i].seed_bits))
                chosen[i] = part[0].seed
                if ideal:
                    bits[i] += np.sum([tile.ideal_bits for tile in part], axis=0)
        return [
            Compressed(
                pack(header, [c.stream for c in chunks], [c.marks for c in chunks], [c.checks for c in chunks]),
                [0.0, *np.cumsum(row).tolist()] if ideal else [],
                used,
            )
            for header, chunks, row, used in zip(headers, coded, bits, chosen, strict=True)
        ]

    def _tiles(self, image: np.ndarray, chunk: range) -> np.ndarray:
        return tiles.cut(image, self.model.image_size)[chunk.start : chunk.stop]

    def _header(self, image: np.ndarray, seed: int, n_seeds: int, double: bool) -> Header:
        predictor, steps = self._predictor(double), self.tolerances(double)
        bins = [in_bins(item, predictor, index) for index, item in enumerate(steps)]
        return Header(
            model_id=self._model_id,
            width=image.shape[1],
            height=image.shape[0],
            tile_size=self.model.image_size,
            n_stages=self._n_stages,
            seed=seed,
            seed_bits=n_seeds.bit_length() - 1,
            double=double,
            mean_eps_bins=max(item.mean_bins for item in bins),
            scale_eps_octaves=max(item.scale_octaves for item in bins),
        )

    @property
    def _model_id(self) -> bytes:
        return bytes.fromhex(self.model.sha256)[:MODEL_ID_BYTES]

    @property
    def _n_stages(self) -> int:
        return self.n_steps + (not self._predictor(False).lattice[-1].window_is_free)

    # ---- decompressing --------------------------------------------------------------------------------------

    def decompress(
        self, files: Sequence[bytes], step: int | None = None, reconstruction: str = "denoise"
    ) -> np.ndarray | list[np.ndarray]:
        """Decodes files, or prefixes of files, to uint8 images: [N, H, W, 3], or a list where sizes differ.

        ``step`` 1..T gives the picture after that step, 0 what z_T alone shows; None the lossless image, or the last
        step that a cut file holds. Raises :class:`uqdm.codec.StreamError` where a file is damaged, foreign, or does
        not hold the step.
        """
        if reconstruction not in RECONSTRUCTIONS:
            raise ValueError(f"reconstruction={reconstruction!r}: choose one of {', '.join(RECONSTRUCTIONS)}")
        if step is not None and not 0 <= step <= self.n_steps:
            raise ValueError(f"step={step}: must be in 0..{self.n_steps}, or None for the lossless image")
        images = [self._decode(data, step) for data in files]
        same = len({image.shape for image in images}) == 1
        return np.stack(images) if same else images

    def _decode(self, data: bytes, step: int | None) -> np.ndarray:
        container = self.open(data)
        held = container.complete_stages()
        if step is None:
            step = None if held == self._n_stages else held
            if step == 0:
                raise StreamError(f"the file is cut inside step 1: it holds no whole step ({len(data)} bytes)")
        elif held < step:
            raise StreamError(f"the file holds {held} whole steps, not {step}: it is cut at {len(data)} bytes")
        *_, last = self._pictures(container, step, last_only=True)
        return last.image_uint8

    def pictures(self, data: bytes) -> Iterator[Picture]:
        """Decodes a file once, and yields the picture of each step that it holds, 0 to T, then the lossless one."""
        container = self.open(data)
        held = container.complete_stages()
        yield from self._pictures(container, None if held == self._n_stages else held, last_only=False)

    def open(self, data: bytes) -> Container:
        """Parses a file and checks that it is this model's; raises :class:`uqdm.codec.StreamError`."""
        container = parse(data)
        header = container.header
        if header.model_id != self._model_id:
            raise StreamError(
                f"the file was made with model {header.model_id.hex()}, not with "
                f"{self.model.name} ({self._model_id.hex()}): load the model that made it"
            )
        if header.tile_size != self.model.image_size or header.n_stages != self._n_stages:
            raise StreamError("the file's tile size or number of stages are not this model's: its header is damaged")
        return container

    def _pictures(self, container: Container, step: int | None, *, last_only: bool) -> Iterator[Picture]:
        """Pictures of steps 0..``step``, or all and the lossless one if None."""
        header = container.header
        predictor = self._predictor(header.double)
        wanted = list(range(self.n_steps + 1 if step is None else step + 1))
        names: list[int | None] = [*wanted, None] if step is None else list(wanted)
        names = names[-1:] if last_only else names
        if len(header.chunks) == 1:  # the common case: yield each picture as soon as it is there
            for name, levels in _decode_chunks([ChunkState(container, 0, predictor)], names):
                yield Picture(name, self._assemble(levels, header))
            return
        shape = (len(names), header.n_tiles, predictor.n_coordinates)
        rows = np.empty(shape, np.uint8)
        for chunk, positions in enumerate(header.chunks):
            state = ChunkState(container, chunk, predictor)
            for n, (_, levels) in enumerate(_decode_chunks([state], names)):
                rows[n, positions.start : positions.stop] = levels
        for name, levels in zip(names, rows, strict=True):
            yield Picture(name, self._assemble(levels, header))

    def _assemble(self, levels: np.ndarray, header: Header) -> np.ndarray:
        return tiles.join(tiles.from_coordinates(levels, header.tile_size), header.height, header.width)


def _batches(jobs: list[tuple[int, range]]) -> Iterator[list[tuple[int, range]]]:
    """Groups chunks so that a batch of the network has at most a chunk's number of tiles."""
    batch: list[tuple[int, range]] = []
    for job in jobs:
        if batch and sum(len(chunk) for _, chunk in batch) + len(job[1]) > CHUNK_TILES:
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


def _decode_chunks(states: list[ChunkState], names: Sequence[int | None]) -> Iterator[tuple[int | None, np.ndarray]]:
    """Decodes chunks in step; yields for each name (a step, or None) the levels of all their tiles, int64 [B, D]."""
    predictor = states[0].predictor
    n_steps = len(predictor.steps)
    lossless = names[-1] is None
    last_step = n_steps if lossless else names[-1]
    assert last_step is not None
    if 0 in names:
        yield 0, np.concatenate([state.first_picture() for state in states])
    if last_step == 0:
        return
    n_stages = len(states[0].container.stages[0]) if lossless else last_step
    for state in states:
        state.open(n_stages)
    _predict(predictor, 0, states)
    for step in range(1, last_step + 1):
        for state in states:
            state.read_step()
        if step < n_steps:
            _predict(predictor, step, states)
        for state in states:
            state.check_step()
        if step in names:
            pictures = [state.picture() if step < n_steps else state.final_picture() for state in states]
            yield step, np.concatenate(pictures)
    if lossless:
        for state in states:
            state.read_last_stage()
        yield None, np.concatenate([state.levels for state in states if state.levels is not None])


def _predict(predictor: Predictor, index: int, states: list[ChunkState]) -> None:
    n_t = np.concatenate([state.n_t for state in states])
    outputs = predictor.predict(index, n_t, [seed for state in states for seed in state.seeds])
    begin = 0
    for state in states:
        end = begin + len(state.positions)
        state.read_offsets(outputs.rows(begin, end))
        begin = end


def prefix(container: Container, n_stages: int) -> Container:
    """The same file cut after ``n_stages`` stages."""
    return replace(container, data=container.data[: container.stage_end(n_stages)])
