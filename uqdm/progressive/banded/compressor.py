"""Compression of images to files of version 3 with a model of a process in bands, and decompression."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from uqdm.arithmetic import float32_arithmetic
from uqdm.banded.model import BandedModel
from uqdm.codec import StreamError
from uqdm.coding.container import CHUNK_TILES, STAGED, Container, Header, pack_head, pack_stages
from uqdm.diffusion.choices import ANCESTRAL, DENOISE
from uqdm.model.weights import check_bits
from uqdm.progressive import tiles
from uqdm.progressive.banded.chunks import CodedChunk, Decoded, Group, TileChunk, decode, encode
from uqdm.progressive.banded.rounding import Rounding
from uqdm.progressive.banded.steps import Draws, Networks, advance
from uqdm.progressive.banded.symbols import Sampled
from uqdm.progressive.batches import Chunk, TileReport, batches, overlapped
from uqdm.progressive.device import checked_device
from uqdm.progressive.files import Compressed, Picture
from uqdm.progressive.progressive_codec import ProgressiveCodec, joined_pictures
from uqdm.progressive.seeds import SEEDS_FOR, SeedCandidates
from uqdm.progressive.step_pictures import TileNoise, WantedPicture

if TYPE_CHECKING:
    from uqdm.progressive.cost import Costs

RECONSTRUCTIONS = (DENOISE, ANCESTRAL)
"""Pictures of a step: the estimate, or a sample. There is no flow: coordinates are at different noise levels."""
_MAX_HEADER_PIXELS = 1 << 20
"""Limit of the picture before the first step, for a file that ends with its header."""


class BandedUQDM(ProgressiveCodec):
    """Compresses images of any size, uint8 [H, W, 3], to files of their own, and decodes prefixes of them.

    It has the methods of :class:`uqdm.progressive.compressor.UQDM`. Networks run in float64, so that files decode to
    the same pixels whatever the batch, the threads or the machine. ``threads`` and ``overlap`` are as there.
    """

    def __init__(
        self, model: BandedModel, device: str = "cpu", *, overlap: int | None = None, threads: int | None = None
    ):
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads}: must be at least 1")
        self.model, self.device, self.overlap, self.threads = model, device, overlap, threads
        self._networks = Networks(model, checked_device(device))

    @property
    def n_steps(self) -> int:
        """Steps of a file before the lossless end."""
        return self.model.schedule.n_steps

    @property
    def reconstructions(self) -> tuple[str, ...]:
        """The kinds of pictures of a step."""
        return RECONSTRUCTIONS

    @functools.cached_property
    def costs(self) -> Costs:
        """Network calls and multiply-accumulates."""
        from uqdm.progressive.banded.costs import BandedCosts  # torch's counter imports a compiler

        return BandedCosts.of(self._networks)

    # ---- compressing ----------------------------------------------------------------------------------------

    def _compress(
        self, images: Sequence[np.ndarray], candidates: SeedCandidates, ideal: bool, report: TileReport | None
    ) -> list[Compressed]:
        headers = [self._header(image, candidates.first) for image in images]
        heads = [pack_head(header) for header in headers]

        def encoded(batch: list[Chunk]) -> list[CodedChunk]:
            size = self.model.image_size
            cut = [tiles.cut(images[chunk.item], size, chunk.tiles) for chunk in batch]
            levels = tiles.to_coordinates(np.concatenate(cut)).reshape(-1, 3, size, size)
            return encode(self._networks, levels, self._group(batch, headers, heads), ideal=ideal)

        coded: list[list[CodedChunk]] = [[] for _ in headers]
        for batch, results in overlapped(encoded, batches(headers), self._at_work, report, alone=self._alone):
            for chunk, result in zip(batch, results, strict=True):
                coded[chunk.item].append(result)
        return [self._file(header, chunks, ideal) for header, chunks in zip(headers, coded, strict=True)]

    def _n_seeds(self, seeds: int | None, seeds_for: str) -> int:
        if seeds not in (None, 1) or seeds_for != SEEDS_FOR[0]:
            what = f"seeds={seeds}" if seeds not in (None, 1) else f"seeds_for={seeds_for!r}"
            raise ValueError(f"{what}: {self.model.name} gains nothing from several seeds; leave it out")
        return 1

    def _file(self, header: Header, chunks: list[CodedChunk], ideal: bool) -> Compressed:
        stream = pack_stages(header, [chunk.segments for chunk in chunks])
        if not ideal:
            return Compressed(stream, [], header.seed)
        bits = np.sum([chunk.ideal_bits for chunk in chunks], axis=0)
        check_bits(bits, self.model.name)
        return Compressed(stream, [0.0, *np.cumsum(bits).tolist()], header.seed)

    def _header(self, image: np.ndarray, seed: int) -> Header:
        header = Header(
            model_id=self._model_id,
            width=image.shape[1],
            height=image.shape[0],
            tile_size=self.model.image_size,
            n_stages=self._n_stages,
            seed=seed,
            version=self._version,
        )
        header.check()
        return header

    def _group(self, batch: Sequence[Chunk], headers: Sequence[Header], heads: Sequence[bytes]) -> Group:
        """The chunks of a batch, with their shared randomness."""
        return Group(
            [
                TileChunk(
                    heads[chunk.item],
                    chunk.number,
                    Draws([headers[chunk.item].seed] * len(chunk.tiles), list(chunk.tiles)),
                )
                for chunk in batch
            ]
        )

    @property
    def _version(self) -> int:
        return STAGED

    @property
    def _n_stages(self) -> int:
        return self.n_steps + 1

    # ---- decompressing --------------------------------------------------------------------------------------

    @float32_arithmetic()
    def ideal_bits(self, data: bytes) -> list[float]:
        """Ideal bits of each step of a file, then of the last stage. Decodes the file."""
        container = self.open(data)
        held = container.complete_stages()
        bits = np.zeros(held)
        for batch in batches([container.header]):
            group = self._group(batch, [container.header], [container.head])
            found = list(self._stages([container], batch, group, held, ideal=True))
            bits += [float(stage.ideal_bits.sum()) for stage in found[1:]]
        return bits.tolist()

    def open(self, data: bytes) -> Container:
        """Parses a file and checks that this model made it; raises :class:`uqdm.codec.StreamError`."""
        container = super().open(data)
        if not container.stages and container.header.width * container.header.height > _MAX_HEADER_PIXELS:
            # Nothing in so short a file bears out the size that it claims.
            raise StreamError(f"the file is cut inside step 1: {len(data)} bytes hold no whole step")
        return container

    def _stages(
        self,
        containers: Sequence[Container],
        batch: Sequence[Chunk],
        group: Group,
        n_stages: int,
        *,
        ideal: bool = False,
    ) -> Iterator[Decoded]:
        """The chunks of a batch before the first stage, and after each."""
        segments = [
            [containers[chunk.item].segment(chunk.number, stage) for stage in range(n_stages)] for chunk in batch
        ]
        return decode(self._networks, group, segments, n_stages, ideal=ideal)

    @float32_arithmetic()
    def _decode(
        self, containers: list[Container], wanted: Sequence[WantedPicture], report: TileReport | None = None
    ) -> list[list[Picture]]:
        """The wanted pictures of each file."""
        headers, heads = [container.header for container in containers], [container.head for container in containers]
        n_stages = max(self._n_stages if item.step is None else item.step for item in wanted)

        def decoded(batch: list[Chunk]) -> _Pictures:
            group = self._group(batch, headers, heads)
            found = _Pictures(wanted, self._networks, group.draws)
            found.take(self._stages(containers, batch, group, n_stages))
            return found

        share = -(-sum(header.n_tiles for header in headers) // self._at_work)
        at_most = max(share, CHUNK_TILES) if share < 2 * CHUNK_TILES else CHUNK_TILES
        rows = [[np.empty((h.n_tiles, self._networks.n_coordinates), np.uint8) for _ in wanted] for h in headers]
        seconds = np.zeros(len(wanted))
        for batch, result in overlapped(decoded, batches(headers, at_most), self._at_work, report, alone=self._alone):
            seconds += result.seconds
            for number, levels in enumerate(result.levels):
                begin = 0
                for chunk in batch:
                    end = begin + len(chunk.tiles)
                    rows[chunk.item][number][chunk.tiles.start : chunk.tiles.stop] = levels[begin:end]
                    begin = end
        return joined_pictures(wanted, rows, headers, seconds)


@dataclass
class _Pictures:
    """The wanted pictures of a batch of tiles."""

    wanted: Sequence[WantedPicture]
    networks: Networks
    draws: Draws
    levels: list[np.ndarray] = field(init=False)
    """uint8 [B, D] of each picture."""
    seconds: np.ndarray = field(init=False)
    """Time of each picture, without that of others."""

    def take(self, stages: Iterable[Decoded]) -> None:
        """Makes the pictures from what is decoded before the first stage, and after each."""
        self.levels = [np.empty(0)] * len(self.wanted)
        self.seconds = np.zeros(len(self.wanted))
        spent, since = 0.0, time.perf_counter()
        for index, stage in enumerate(stages):
            spent += time.perf_counter() - since
            for number, item in enumerate(self.wanted):
                if index == (self.networks.schedule.n_steps + 1 if item.step is None else item.step):
                    begun = time.perf_counter()
                    self.levels[number] = self._picture(stage, item).reshape(len(self.draws.seeds), -1)
                    self.seconds[number] = spent + time.perf_counter() - begun
            since = time.perf_counter()

    def _picture(self, stage: Decoded, item: WantedPicture) -> np.ndarray:
        if item.reconstruction != ANCESTRAL:
            return stage.levels
        noise = [TileNoise(item.noise_seed, stage.known.n_done, position) for position in self.draws.positions]
        source = Sampled(lambda row, size: noise[row].uniform(size))
        known, rounding = stage.known, Rounding([0] * len(noise))
        while known.n_done <= self.networks.schedule.n_steps:
            known, _ = advance(self.networks, known, self.draws, rounding, source)
        assert known.window is not None
        return known.window[0].astype(np.uint8)
