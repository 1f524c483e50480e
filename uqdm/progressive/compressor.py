"""Compression of images to files with a model, and decompression."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from uqdm.arithmetic import float32_arithmetic
from uqdm.coding.container import CHUNK_TILES, MAX_EPS, Container, Header, pack
from uqdm.coding.grids import MarginError
from uqdm.diffusion.choices import RECONSTRUCTIONS
from uqdm.model.checkpoint import Model
from uqdm.model.weights import check_bits
from uqdm.progressive import tiles, tolerance
from uqdm.progressive.batches import Chunk, TileReport, batches, overlapped
from uqdm.progressive.chunk_stream import FileChunk, IdealBits
from uqdm.progressive.codable import check_codable
from uqdm.progressive.decoder import DecodedPicture, decode_chunks
from uqdm.progressive.device import checked_device
from uqdm.progressive.encoder import CodedChunk, SentTile, choose_seed, in_bins, send_tiles, write_chunk
from uqdm.progressive.files import Compressed, Picture
from uqdm.progressive.predictor import Predictor
from uqdm.progressive.progressive_codec import ProgressiveCodec, joined_pictures
from uqdm.progressive.seeds import DEFAULT_SEEDS, MAX_SEEDS, SEEDS_FOR, SeedCandidates
from uqdm.progressive.step_pictures import WantedPicture

if TYPE_CHECKING:
    from uqdm.progressive.cost import Costs


class UQDM(ProgressiveCodec):
    """Compresses images of any size, uint8 [H, W, 3], to files of their own, and decodes prefixes of them.

    Images are cut into tiles of the model's size. A file decodes to the same pixels whatever the batch, the threads
    or the machine, as long as the network's outputs differ by less than the file's tolerance (see ``docs/format.md``).

    ``precision="float64"`` runs the network in float64, also for files that were made in float32.
    ``threads`` is the number of threads that compute, each on batches of tiles of its own; files do not depend on it.
    Without it torch shares each operation among the threads that it is set to, and ``overlap`` is the number of batches
    in progress at once: while one is in the network, others are coded. By default
    :func:`uqdm.progressive.device.at_work`.
    """

    def __init__(
        self,
        model: Model,
        device: str = "cpu",
        *,
        precision: str = "float32",
        overlap: int | None = None,
        threads: int | None = None,
    ):
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads}: must be at least 1")
        if precision not in ("float32", "float64"):
            raise ValueError(f"precision={precision!r}: choose float32 or float64")
        checked_device(device)
        check_codable(model)
        self.model, self.device, self.overlap, self.threads = model, device, overlap, threads
        self._always_double = precision == "float64"
        self._predictors: dict[bool, Predictor] = {}
        self._tolerances: dict[bool, list[tolerance.StepTolerance]] = {}

    @property
    def n_steps(self) -> int:
        """T, the steps of a file before the lossless end."""
        return self.model.schedule.n_steps

    @property
    def reconstructions(self) -> tuple[str, ...]:
        """The kinds of pictures of a step."""
        return RECONSTRUCTIONS

    @functools.cached_property
    def costs(self) -> Costs:
        """Network calls and multiply-accumulates."""
        from uqdm.progressive.cost import StepCosts, step_macs  # torch's counter imports a compiler

        return StepCosts(step_macs(self.model))

    def predictor(self, double: bool = False) -> Predictor:
        """The network as the coder runs it; ``double`` for files with float64 in the header."""
        if double not in self._predictors:
            precise = double or self._always_double
            self._predictors[double] = Predictor(self.model, self.device, double=precise)
        return self._predictors[double]

    @float32_arithmetic()
    def tolerances(self, double: bool = False) -> list[tolerance.StepTolerance]:
        """Tolerances of files, by step: the differences between machines that do not change the decoded pixels."""
        if double not in self._tolerances:
            self._tolerances[double] = tolerance.of_model(self.model, double=double)
        return self._tolerances[double]

    # ---- compressing ----------------------------------------------------------------------------------------

    def _n_seeds(self, seeds: int | None, seeds_for: str) -> int:
        if seeds is None:
            return DEFAULT_SEEDS if seeds_for == "lossless" or self.predictor().seeds_are_cheap else 1
        if not 1 <= seeds <= MAX_SEEDS or seeds & (seeds - 1):
            raise ValueError(f"seeds={seeds}: must be a power of two from 1 to {MAX_SEEDS}")
        if seeds == 1 and seeds_for != SEEDS_FOR[0]:
            raise ValueError(f"seeds_for={seeds_for!r} with seeds=1: needs more than one seed")
        return seeds

    def _compress(
        self, images: Sequence[np.ndarray], candidates: SeedCandidates, ideal: bool, report: TileReport | None
    ) -> list[Compressed]:
        try:
            return self._compress_in(images, candidates, ideal, double=False, report=report)
        except MarginError:
            # Rare: outputs of an image lie too close to boundaries of cells. In float64 the tolerance is small enough.
            return [self._compress_one(image, candidates, ideal) for image in images]

    def _compress_one(self, image: np.ndarray, candidates: SeedCandidates, ideal: bool) -> Compressed:
        try:
            return self._compress_in([image], candidates, ideal, double=False)[0]
        except MarginError:
            return self._compress_in([image], candidates, ideal, double=True)[0]

    def _compress_in(
        self,
        images: Sequence[np.ndarray],
        candidates: SeedCandidates,
        ideal: bool,
        *,
        double: bool,
        report: TileReport | None = None,
    ) -> list[Compressed]:
        headers = [self._header(image, candidates.first, candidates.count, double) for image in images]

        def encode(batch: list[Chunk]) -> list[tuple[CodedChunk, list[SentTile]]]:
            return self._encode_batch(images, headers, batch, candidates, ideal=ideal)

        coded: list[list[CodedChunk]] = [[] for _ in headers]
        bits = np.zeros((len(headers), self.n_steps + 1))
        chosen = [candidates.first] * len(headers)
        for batch, results in overlapped(encode, batches(headers), self._at_work, report, alone=self._alone):
            for chunk, (stream, sent) in zip(batch, results, strict=True):
                coded[chunk.item].append(stream)
                if chunk.number == 0:
                    chosen[chunk.item] = sent[0].seed
                if ideal:
                    bits[chunk.item] += np.sum([tile.ideal_bits for tile in sent], axis=0)
        check_bits(bits, self.model.name)
        return [
            Compressed(
                pack(header, [c.stream for c in chunks], [c.marks for c in chunks], [c.checks for c in chunks]),
                [0.0, *np.cumsum(row).tolist()] if ideal else [],
                used,
            )
            for header, chunks, row, used in zip(headers, coded, bits, chosen, strict=True)
        ]

    def _encode_batch(
        self,
        images: Sequence[np.ndarray],
        headers: list[Header],
        batch: list[Chunk],
        candidates: SeedCandidates,
        *,
        ideal: bool,
    ) -> list[tuple[CodedChunk, list[SentTile]]]:
        header = headers[batch[0].item]
        predictor, tolerances = self.predictor(header.double), self.tolerances(header.double)
        size = self.model.image_size
        cut = [tiles.cut(images[chunk.item], size, chunk.tiles) for chunk in batch]
        levels = tiles.to_coordinates(np.concatenate(cut))
        positions = [position for chunk in batch for position in chunk.tiles]
        pairs = zip(levels, positions, strict=True)
        seeds = [choose_seed(predictor, row, at, candidates.seeds, candidates.chosen_for) for row, at in pairs]
        sent = iter(send_tiles(predictor, levels, positions, seeds, ideal=ideal))
        parts = [[next(sent) for _ in chunk.tiles] for chunk in batch]
        return [(write_chunk(part, predictor, tolerances, candidates.first, header.seed_bits), part) for part in parts]

    def _header(self, image: np.ndarray, seed: int, n_seeds: int, double: bool) -> Header:
        predictor, steps = self.predictor(double), self.tolerances(double)
        bins = [in_bins(item, predictor, index) for index, item in enumerate(steps)]
        mean_eps_bins = max(item.mean_bins for item in bins)
        scale_eps_octaves = max(item.scale_octaves for item in bins)
        if not double and not max(mean_eps_bins, scale_eps_octaves) <= MAX_EPS:
            raise MarginError(f"float32 is off by more than {MAX_EPS} bins or octaves")
        header = Header(
            model_id=self._model_id,
            width=image.shape[1],
            height=image.shape[0],
            tile_size=self.model.image_size,
            n_stages=self._n_stages,
            seed=seed,
            seed_bits=n_seeds.bit_length() - 1,
            double=double,
            mean_eps_bins=mean_eps_bins,
            scale_eps_octaves=scale_eps_octaves,
            version=self._version,
        )
        header.check()
        return header

    @property
    def _version(self) -> int:
        return self.predictor().format_version

    @property
    def _n_stages(self) -> int:
        return self.n_steps + (not self.predictor().lattice[-1].window_is_free)

    # ---- decompressing --------------------------------------------------------------------------------------

    @float32_arithmetic()
    def ideal_bits(self, data: bytes) -> list[float]:
        """Ideal bits of each step of a file, then of the last stage, by the paper's accounting. Decodes the file."""
        container = self.open(data)
        held = container.complete_stages()
        wanted = [WantedPicture(None if held == self._n_stages else held)]
        predictor = self.predictor(container.header.double)
        bits: list[list[float]] = []
        for number in range(len(container.header.chunks)):
            found = IdealBits()
            for _ in decode_chunks([FileChunk(container, number, predictor, found)], wanted):
                pass
            bits.append(found.by_stage)
        return np.sum(bits, axis=0).tolist()

    def _decode(
        self, containers: list[Container], wanted: Sequence[WantedPicture], report: TileReport | None = None
    ) -> list[list[Picture]]:
        """The wanted pictures of each file; all files of one network precision."""
        headers = [container.header for container in containers]
        predictor = self.predictor(headers[0].double)

        def decode(batch: list[Chunk]) -> list[DecodedPicture]:
            chunks = [FileChunk(containers[chunk.item], chunk.number, predictor) for chunk in batch]
            return list(decode_chunks(chunks, wanted))

        # Enough batches for all threads, each as large as the device allows.
        share = -(-sum(header.n_tiles for header in headers) // self._at_work)
        at_most = min(predictor.decoded_at_once, max(share, CHUNK_TILES))
        rows = [[np.empty((h.n_tiles, predictor.n_coordinates), np.uint8) for _ in wanted] for h in headers]
        seconds = np.zeros(len(wanted))
        for batch, results in overlapped(decode, batches(headers, at_most), self._at_work, report, alone=self._alone):
            for n, decoded in enumerate(results):
                seconds[n] += decoded.seconds
                for chunk, part in zip(batch, decoded.parts, strict=True):
                    rows[chunk.item][n][chunk.tiles.start : chunk.tiles.stop] = part
        return joined_pictures(wanted, rows, headers, seconds)
