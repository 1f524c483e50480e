"""Compression of images to files with a model, and decompression."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from PIL.Image import Image

from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import StreamError, check_images
from uqdm.coding.container import CHUNK_TILES, MAX_EPS, MODEL_ID_BYTES, Container, Header, pack, parse
from uqdm.coding.grids import MarginError
from uqdm.diffusion.choices import DENOISE, RECONSTRUCTIONS
from uqdm.model.checkpoint import Model
from uqdm.model.weights import check_bits
from uqdm.progressive import tiles, tolerance
from uqdm.progressive.batches import Chunk, TileReport, batches, overlapped
from uqdm.progressive.chunk_stream import FileChunk, IdealBits
from uqdm.progressive.codable import check_codable
from uqdm.progressive.decoder import DecodedPicture, decode_chunks
from uqdm.progressive.device import at_work, checked_device, images_at_once
from uqdm.progressive.encoder import CodedChunk, SentTile, choose_seed, in_bins, send_tiles, write_chunk
from uqdm.progressive.files import Compressed, Picture, Prefix
from uqdm.progressive.inputs import CodedLike, ImageLike, as_files, as_images
from uqdm.progressive.predictor import Predictor
from uqdm.progressive.seeds import DEFAULT_SEEDS, MAX_SEEDS, SEEDS_FOR, SeedCandidates
from uqdm.progressive.step_pictures import WantedPicture
from uqdm.text import counted

if TYPE_CHECKING:
    from uqdm.progressive.cost import Costs


class UQDM:
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

    def __repr__(self) -> str:
        what = (
            f"{self.model.name}, {counted(self.n_steps, 'step')}, {self.model.n_parameters:,} parameters, {self.device}"
        )
        return f"UQDM({what}, weights sha256:{self.model.sha256[:16]})"

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

    @overload
    def compress(  # type: ignore[overload-overlap]  # text is a path, although it can be iterated
        self,
        images: Image | str | os.PathLike[str],
        *,
        seed: int = ...,
        seeds: int | None = ...,
        seeds_for: str = ...,
        report: TileReport | None = ...,
    ) -> bytes: ...

    @overload
    def compress(
        self,
        images: np.ndarray,
        *,
        seed: int = ...,
        seeds: int | None = ...,
        seeds_for: str = ...,
        report: TileReport | None = ...,
    ) -> Any: ...  # bytes or a list, by the number of axes, which types do not tell

    @overload
    def compress(
        self,
        images: Iterable[ImageLike],
        *,
        seed: int = ...,
        seeds: int | None = ...,
        seeds_for: str = ...,
        report: TileReport | None = ...,
    ) -> list[bytes]: ...

    def compress(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        seed: int = 0,
        seeds: int | None = None,
        seeds_for: str = "step1",
        report: TileReport | None = None,
    ) -> bytes | list[bytes]:
        """Compresses images, each to a file that stands alone: one image to its bytes, several to a list.

        One image is an array uint8 [H, W, 3] or [3, H, W], a Pillow image without alpha, or the path of an image file.
        Several are an array [N, H, W, 3] or [N, 3, H, W], or a list of images, whose sizes may differ. Raises
        ValueError for anything else, with what to write instead (:func:`uqdm.progressive.inputs.as_images`).

        For each tile the encoder takes the best of ``seeds`` seeds (a power of two up to 256) from ``seed`` on; None
        means 16, or 1 where the model's first step does not depend on z_T (or has sections, which are slow to try).
        The best seed has the fewest bits of what ``seeds_for`` names: ``step1``, the first step, which is fast, or
        ``lossless``, the whole file, for which the tile is encoded with each seed (None then means 16 always).
        """
        listed, is_one = as_images(images)
        made = self.compress_detailed(listed, seed=seed, seeds=seeds, seeds_for=seeds_for, ideal=False, report=report)
        return made[0].stream if is_one else [item.stream for item in made]

    @float32_arithmetic()
    def compress_detailed(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
        *,
        seed: int = 0,
        seeds: int | None = None,
        seeds_for: str = "step1",
        ideal: bool = True,
        report: TileReport | None = None,
    ) -> list[Compressed]:
        """As :meth:`compress` of several images, uint8 [H, W, 3], with ideal bits (empty lists unless ``ideal``)."""
        check_images(list(images))
        candidates = SeedCandidates(seed, self._n_seeds(seeds, seeds_for), seeds_for)
        try:
            return self._compress(images, candidates, ideal, double=False, report=report)
        except MarginError:
            # Rare: outputs of an image lie too close to boundaries of cells. In float64 the tolerance is small enough.
            return [self._compress_one(image, candidates, ideal) for image in images]

    def check_seeds(self, seeds: int | None, seeds_for: str) -> None:
        """Raises ValueError for a number or a choice of seeds that :meth:`compress` does not take."""
        self._n_seeds(seeds, seeds_for)

    def _n_seeds(self, seeds: int | None, seeds_for: str) -> int:
        if seeds_for not in SEEDS_FOR:
            raise ValueError(f"seeds_for={seeds_for!r}: choose one of {', '.join(SEEDS_FOR)}")
        if seeds is None:
            return DEFAULT_SEEDS if seeds_for == "lossless" or self.predictor().seeds_are_cheap else 1
        if not 1 <= seeds <= MAX_SEEDS or seeds & (seeds - 1):
            raise ValueError(f"seeds={seeds}: must be a power of two from 1 to {MAX_SEEDS}")
        if seeds == 1 and seeds_for != SEEDS_FOR[0]:
            raise ValueError(f"seeds_for={seeds_for!r} with seeds=1: needs more than one seed")
        return seeds

    def _compress_one(self, image: np.ndarray, candidates: SeedCandidates, ideal: bool) -> Compressed:
        try:
            return self._compress([image], candidates, ideal, double=False)[0]
        except MarginError:
            return self._compress([image], candidates, ideal, double=True)[0]

    def _compress(
        self,
        images: Sequence[np.ndarray] | np.ndarray,
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
        images: Sequence[np.ndarray] | np.ndarray,
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
            version=self.predictor().format_version,
        )
        header.check()
        return header

    @property
    def _at_work(self) -> int:
        return self.overlap or self.threads or at_work(torch.device(self.device))

    @property
    def _alone(self) -> bool:
        """Whether each thread computes alone, and torch shares no operation among threads."""
        return self.threads is not None

    @property
    def images_at_once(self) -> int:
        """Number of images in a call that keeps the device busy."""
        return images_at_once(torch.device(self.device))

    @property
    def _model_id(self) -> bytes:
        return bytes.fromhex(self.model.sha256)[:MODEL_ID_BYTES]

    @property
    def _n_stages(self) -> int:
        return self.n_steps + (not self.predictor().lattice[-1].window_is_free)

    # ---- decompressing --------------------------------------------------------------------------------------

    @overload
    def decompress(
        self,
        files: CodedLike,
        step: int | None = ...,
        reconstruction: str = ...,
        *,
        noise_seed: int = ...,
        report: TileReport | None = ...,
    ) -> np.ndarray: ...

    @overload
    def decompress(
        self,
        files: Iterable[CodedLike],
        step: int | None = ...,
        reconstruction: str = ...,
        *,
        noise_seed: int = ...,
        report: TileReport | None = ...,
    ) -> np.ndarray | list[np.ndarray]: ...

    def decompress(
        self,
        files: CodedLike | Iterable[CodedLike],
        step: int | None = None,
        reconstruction: str = "denoise",
        *,
        noise_seed: int = 0,
        report: TileReport | None = None,
    ) -> np.ndarray | list[np.ndarray]:
        """Decodes files, or prefixes of files, to uint8 images.

        One file, by its bytes or its path, gives one image [H, W, 3]. A list of files gives [N, H, W, 3], or a list
        where sizes differ.

        ``step`` 1..T gives the picture after that step, 0 that from z_T alone; None the lossless image, or that of the
        last whole step of a cut file. ``reconstruction`` is ``denoise`` (the estimate of the image; the same pixels
        everywhere), ``ancestral`` (the rest is sampled, with noise from ``noise_seed``) or ``flow`` (the rest follows
        the probability flow). Raises :class:`uqdm.codec.StreamError` where a file is damaged, foreign, or does not
        hold the step.
        """
        listed, is_one = as_files(files)
        images = self._decompress(listed, step, reconstruction, noise_seed=noise_seed, report=report)
        if is_one:
            return images[0]
        same = len({image.shape for image in images}) == 1
        return np.stack(images) if same else images

    @float32_arithmetic()
    def _decompress(
        self, files: list[bytes], step: int | None, reconstruction: str, *, noise_seed: int, report: TileReport | None
    ) -> list[np.ndarray]:
        self._check_wanted(step, reconstruction)
        containers = [self.open(data) for data in files]
        wanted = [WantedPicture(self._target(container, step), reconstruction, noise_seed) for container in containers]
        images: list[np.ndarray] = [np.empty(0)] * len(files)
        groups = {(item, container.header.double) for item, container in zip(wanted, containers, strict=True)}
        for group in sorted(groups, key=repr):
            members = [i for i, c in enumerate(containers) if (wanted[i], c.header.double) == group]
            for i, found in zip(
                members, self._decode([containers[i] for i in members], [group[0]], report), strict=True
            ):
                images[i] = found[0].image_uint8
        return images

    def prefix(self, data: bytes, step: int | None = None) -> Prefix:
        """The step that :meth:`decompress` decodes a file or a prefix to, and the bytes up to the end of that step.

        Raises :class:`uqdm.codec.StreamError` as it does, for a file that does not hold the step.
        """
        self._check_wanted(step, DENOISE)
        container = self.open(data)
        target = self._target(container, step)
        return Prefix(target, container.stage_end(self._n_stages if target is None else target))

    def _check_wanted(self, step: int | None, reconstruction: str) -> None:
        if reconstruction not in RECONSTRUCTIONS:
            raise ValueError(f"reconstruction={reconstruction!r}: choose one of {', '.join(RECONSTRUCTIONS)}")
        if step is not None and not 0 <= step <= self.n_steps:
            raise ValueError(f"step={step}: must be in 0..{self.n_steps}, or None for the lossless image")

    def _target(self, container: Container, step: int | None) -> int | None:
        """The step to decode a file to; raises StreamError if the file does not hold it."""
        held, n_bytes = container.complete_stages(), len(container.data)
        if step is not None and held < step:
            cut = f"it is cut at {n_bytes} bytes, and step {step} needs the first {container.stage_end(step)}"
            raise StreamError(f"the file holds {held} whole steps, not {step}: {cut}")
        if step is None and held == 0:
            needed = f"{n_bytes} bytes hold no whole step, the first step needs {container.stage_end(1)}"
            raise StreamError(f"the file is cut inside step 1: {needed}")
        return held if step is None and held < self._n_stages else step

    @float32_arithmetic()
    def pictures(
        self, data: bytes, reconstructions: Sequence[str] = ("denoise",), *, noise_seed: int = 0
    ) -> list[Picture]:
        """Decodes a file once to the pictures of all its whole steps, from 0 to T, and the lossless one.

        Network calls that pictures share are made once.
        """
        for name in reconstructions:
            self._check_wanted(None, name)
        container = self.open(data)
        held = container.complete_stages()
        steps = range(min(held, self.n_steps) + 1)
        wanted = [WantedPicture(step, name, noise_seed) for step in steps for name in reconstructions]
        if held == self._n_stages:
            wanted.append(WantedPicture(None, "exact"))
        return self._decode([container], wanted)[0]

    @float32_arithmetic()
    def salvage(self, data: bytes) -> tuple[Picture, str]:
        """The best picture of a damaged file, and what is wrong with the rest.

        Raises :class:`uqdm.codec.StreamError` where there is none: the header or the first step is damaged.
        """
        container = self.open(data)
        held = container.complete_stages()
        targets = [None] if held == self._n_stages else []
        reason = "nothing" if targets else f"the file is cut at {len(data)} bytes"
        for step in [*targets, *range(min(held, self.n_steps), 0, -1)]:
            try:
                return self._decode([container], [WantedPicture(step)])[0][0], reason
            except StreamError as error:
                reason = str(error)
        raise StreamError(f"nothing can be saved: {reason}")

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

    @float32_arithmetic()
    def open(self, data: bytes) -> Container:
        """Parses a file and checks that this model made it; raises :class:`uqdm.codec.StreamError`."""
        container = parse(data)
        header = container.header
        if header.model_id != self._model_id:
            raise StreamError(
                f"the file was made with model {header.model_id.hex()}, not with "
                f"{self.model.name} ({self._model_id.hex()}): load the model that made it"
            )
        found = header.version, header.tile_size, header.n_stages
        if found != (self.predictor().format_version, self.model.image_size, self._n_stages):
            raise StreamError("the file's version, tile size or stages are not this model's: its header is damaged")
        return container

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
        return [
            [
                Picture(item.step, item.reconstruction, _assemble(part, header), float(spent))
                for item, part, spent in zip(wanted, row, seconds, strict=True)
            ]
            for header, row in zip(headers, rows, strict=True)
        ]


def _assemble(levels: np.ndarray, header: Header) -> np.ndarray:
    return tiles.join(tiles.from_coordinates(levels, header.tile_size), header.height, header.width)
