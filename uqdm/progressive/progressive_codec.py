"""What the codecs of all kinds of models have in common: files and pictures by step, prefixes, damaged files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from PIL.Image import Image

from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import StreamError, check_images
from uqdm.coding.container import MODEL_ID_BYTES, Container, Header, parse
from uqdm.diffusion.choices import DENOISE
from uqdm.progressive import tiles
from uqdm.progressive.batches import TileReport
from uqdm.progressive.device import at_work, images_at_once
from uqdm.progressive.files import Compressed, Picture, Prefix
from uqdm.progressive.inputs import CodedLike, ImageLike, as_files, as_images
from uqdm.progressive.seeds import SEEDS_FOR, SeedCandidates
from uqdm.progressive.step_pictures import WantedPicture
from uqdm.text import counted

if TYPE_CHECKING:
    from uqdm.progressive.cost import Costs


class ProgressiveCodec(ABC):
    """Compresses images of any size, uint8 [H, W, 3], to files of their own, and decodes prefixes of them.

    Images are cut into tiles of the model's size. ``overlap`` and ``threads`` are those of
    :class:`uqdm.progressive.compressor.UQDM`.
    """

    model: Any
    """Has a name, a digest ``sha256``, ``image_size``, ``n_parameters`` and ``identity``."""
    device: str
    overlap: int | None
    threads: int | None

    def __repr__(self) -> str:
        what = (
            f"{self.model.name}, {counted(self.n_steps, 'step')}, {self.model.n_parameters:,} parameters, {self.device}"
        )
        return f"UQDM({what}, weights sha256:{self.model.sha256[:16]})"

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """T, the steps of a file before the lossless end."""

    @property
    @abstractmethod
    def reconstructions(self) -> tuple[str, ...]:
        """The kinds of pictures of a step."""

    @property
    @abstractmethod
    def costs(self) -> Costs:
        """Network calls and multiply-accumulates."""

    @property
    @abstractmethod
    def _n_stages(self) -> int:
        """Stages of a whole file: the steps, and the last stage unless it is free."""

    @property
    @abstractmethod
    def _version(self) -> int:
        """Version of the format of the model's files."""

    @abstractmethod
    def _n_seeds(self, seeds: int | None, seeds_for: str) -> int:
        """Number of seeds to try; raises ValueError for a number that does not fit the model or ``seeds_for``."""

    @abstractmethod
    def _compress(
        self, images: Sequence[np.ndarray], candidates: SeedCandidates, ideal: bool, report: TileReport | None
    ) -> list[Compressed]:
        """The files of checked images."""

    @abstractmethod
    def ideal_bits(self, data: bytes) -> list[float]:
        """Ideal bits of each step of a file, then of the last stage. Decodes the file."""

    @abstractmethod
    def _decode(
        self, containers: list[Container], wanted: Sequence[WantedPicture], report: TileReport | None = None
    ) -> list[list[Picture]]:
        """The wanted pictures of each file; all files of one network precision."""

    @property
    def images_at_once(self) -> int:
        """Number of images in a call that keeps the device busy."""
        return images_at_once(torch.device(self.device))

    @property
    def _at_work(self) -> int:
        return self.overlap or self.threads or at_work(torch.device(self.device))

    @property
    def _alone(self) -> bool:
        """Whether each thread computes alone, and torch shares no operation among threads."""
        return self.threads is not None

    @property
    def _model_id(self) -> bytes:
        return bytes.fromhex(self.model.sha256)[:MODEL_ID_BYTES]

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
        images = list(images)
        check_images(images)
        candidates = SeedCandidates(seed, self._checked_n_seeds(seeds, seeds_for), seeds_for)
        return self._compress(images, candidates, ideal, report)

    def check_seeds(self, seeds: int | None, seeds_for: str) -> None:
        """Raises ValueError for a number or a choice of seeds that :meth:`compress` does not take."""
        self._checked_n_seeds(seeds, seeds_for)

    def _checked_n_seeds(self, seeds: int | None, seeds_for: str) -> int:
        if seeds_for not in SEEDS_FOR:
            raise ValueError(f"seeds_for={seeds_for!r}: choose one of {', '.join(SEEDS_FOR)}")
        return self._n_seeds(seeds, seeds_for)

    # ---- decompressing --------------------------------------------------------------------------------------

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
        if found != (self._version, self.model.image_size, self._n_stages):
            raise StreamError("the file's version, tile size or stages are not this model's: its header is damaged")
        return container

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
        if reconstruction not in self.reconstructions:
            known = ", ".join(self.reconstructions)
            raise ValueError(f"reconstruction={reconstruction!r}: choose one of {known}")
        if step is not None and not 0 <= step <= self.n_steps:
            raise ValueError(f"step={step}: must be in 0..{self.n_steps}, or None for the lossless image")

    def _target(self, container: Container, step: int | None) -> int | None:
        """The step to decode a file to; raises StreamError if the file does not hold it."""
        held, n_bytes = container.complete_stages(), len(container.data)
        if step is not None and held < step:
            cut = f"it is cut at {n_bytes} bytes, and step {step} needs {_needed(container, step)}"
            raise StreamError(f"the file holds {held} whole steps, not {step}: {cut}")
        if step is None and held == 0:
            needed = f"{n_bytes} bytes hold no whole step, the first step needs {_needed(container, 1)}"
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


def joined_pictures(
    wanted: Sequence[WantedPicture], levels: list[list[np.ndarray]], headers: list[Header], seconds: np.ndarray
) -> list[list[Picture]]:
    """The wanted pictures of each file, from the levels uint8 [N, D] of its tiles for each picture."""
    return [
        [
            Picture(item.step, item.reconstruction, _joined(part, header), float(spent))
            for item, part, spent in zip(wanted, row, seconds, strict=True)
        ]
        for header, row in zip(headers, levels, strict=True)
    ]


def _joined(levels: np.ndarray, header: Header) -> np.ndarray:
    return tiles.join(tiles.from_coordinates(levels, header.tile_size), header.height, header.width)


def _needed(container: Container, step: int) -> str:
    """The bytes that a step needs, as far as a cut file says."""
    try:
        return f"the first {container.stage_end(step)}"
    except StreamError:
        return "more"
