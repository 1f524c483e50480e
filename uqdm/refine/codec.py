"""A second stage as a codec: the streams of another codec, with pictures that are generated from them."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm import nested
from uqdm.codec import (
    Codec,
    Encoded,
    Parameter,
    ParameterError,
    Point,
    Reconstruction,
    StreamParts,
    check_parameters,
)
from uqdm.model.files import CheckpointError
from uqdm.refine.conditions import LATENTS, Conditions, check_codec, conditions_of, log2_bpp
from uqdm.refine.identity import MODEL_HELP, absolute_name, find, find_for, identify

if TYPE_CHECKING:
    from uqdm.refine.model import RefineModel

MEAN, SAMPLE, DECODED = "mean", "sample", "decoded"
ALL = "all"
CHOICES = (ALL, MEAN, SAMPLE, f"{MEAN}+{SAMPLE}")


class RefineCodec(Codec):
    """Another codec's streams, with pictures by a conditional flow in place of its own; it adds no bits.

    ``mean`` is the network's estimate of the mean of all images that fit the stream, by one call; ``sample`` is one of
    them, by ``steps`` calls from noise; ``decoded`` is the codec's own picture. The noise depends on ``seed`` and the
    stream. A model that sees latents makes pictures of whole streams only; one that sees pictures refines every point
    of a progressive codec, from the reconstruction ``of``.

    This is the common two-stage architecture of diffusion codecs (Yang & Mandt 2026): Hoogeboom et al. 2023 (HFD) and
    Ghouse et al. 2023 refine decoded pictures, Yang & Mandt 2023 (CDC) generate from latents.
    """

    name = "refine"
    summary = "a second stage over another codec: pictures by a conditional flow, no further bits"
    parameters = (
        Parameter("codec", str, "hyperprior", "NAME or NAME:key=value;key=value", canonical=nested.canonical),
        Parameter("model", str, "", MODEL_HELP, canonical=absolute_name),
        Parameter("steps", int, 8, "network calls of a sample", minimum=1, maximum=1000),
        Parameter("reconstruct", str, ALL, "pictures of each point", choices=CHOICES),
        Parameter("of", str, "", "the codec's reconstruction that is refined; by default its first"),
        Parameter("seed", int, 0, "seed of the noise of samples", minimum=0, maximum=(1 << 32) - 1),
    )
    sweep = tuple({"codec": f"hyperprior:quality={quality}"} for quality in range(1, 7))
    check_sweep = ({"codec": "hyperprior:quality=3", "steps": 4},)
    holds_model = True
    uses_gpu = True

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.inner = nested.open_codec(self.values["codec"])
        try:
            self._model = _load(_folder(self.values["model"], self.inner.name))
            check_codec(self.inner, self._model.condition)
        except CheckpointError as error:
            raise ParameterError(f"refine: {error}") from error
        self.values["model"] = self.values["model"] or self._model.name
        self.suffix, self.batch_size = self.inner.suffix, self.inner.batch_size
        self.varying_reconstructions = self.inner.varying_reconstructions | {MEAN, SAMPLE}

    @property
    def version(self) -> str:
        """That of the codec, and name and digest of the model."""
        return f"{self.inner.version}, refined by {self._model.identity}"

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`."""
        checked = check_parameters(cls, values)
        try:
            folder = _folder(checked["model"], nested.parse(checked["codec"])[0])
            return f"{nested.version_of(checked['codec'])}, refined by {identify(folder)}"
        except CheckpointError as error:
            raise ParameterError(f"refine: {error}") from error

    @property
    def device(self) -> str:
        """Where the network runs."""
        from uqdm.progressive.device import device_name

        return device_name(self._model.device)

    @property
    def progressive(self) -> bool:
        """As the inner codec, if the model sees pictures."""
        return self.inner.progressive and self._model.condition != LATENTS

    @property
    def black_pixel_bits(self) -> int | None:
        """As the inner codec."""
        return self.inner.black_pixel_bits

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """As the inner codec."""
        return self.inner.encode(images)

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """As the inner codec."""
        return self.inner.encode_detailed(images)

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """As the inner codec."""
        names = {point.name for point in self.points(stream)}
        return {name: part for name, part in self.inner.parts(stream).items() if name in names}

    def points(self, stream: bytes) -> list[Point]:
        """The inner codec's points, each with the pictures of the second stage beside its own ``decoded``."""
        found = self.inner.points(stream)
        chosen = found if self.progressive else found[-1:]
        return [Point(point.name, point.n_bytes, self._names) for point in chosen]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The last kind of picture of each whole stream: a sample, unless ``reconstruct`` is ``mean``."""
        return [list(self.reconstructions(stream))[-1].image_uint8 for stream in streams]

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Every kind of picture of every point; times and calls of the two stages are added up."""
        points = {point.name: point for point in self.points(stream)}
        wanted: dict[str, Reconstruction] = {}
        began = time.perf_counter()
        for found in self.inner.reconstructions(stream):
            spent, began = 1e3 * (time.perf_counter() - began), time.perf_counter()
            if found.point.name not in points or found.name != (self.values["of"] or found.point.reconstructions[0]):
                continue
            first = Reconstruction(
                points[found.point.name],
                DECODED,
                found.image_uint8,
                spent if found.decode_ms is None else found.decode_ms,
                found.calls,
                found.macs,
            )
            yield from self._refined(stream[: found.point.n_bytes], first)
            wanted[found.point.name] = first
            began = time.perf_counter()
        if not wanted:
            raise ParameterError(f"refine: {self.inner.name} has no reconstruction {self.values['of']!r}")

    def _refined(self, stream: bytes, first: Reconstruction) -> Iterator[Reconstruction]:
        if DECODED in self._names:
            yield first
        conditions = self._conditions(stream, first.image_uint8)
        height, width = first.image_uint8.shape[:2]
        for name in self._names:
            if name == DECODED:
                continue
            began = time.perf_counter()
            image = self._picture(name, conditions, stream, height, width)
            spent = 1e3 * (time.perf_counter() - began)
            calls = 1 if name == MEAN else self.values["steps"]
            assert first.decode_ms is not None
            macs = calls * _macs(self._model, height, width) + (first.macs or 0)
            yield Reconstruction(first.point, name, image, first.decode_ms + spent, (first.calls or 0) + calls, macs)

    def _conditions(self, stream: bytes, picture_uint8: np.ndarray) -> Conditions:
        height, width = picture_uint8.shape[:2]
        if self._model.condition == LATENTS:
            return conditions_of(self.inner, [stream], LATENTS, height, width)
        rate = log2_bpp(len(stream), height, width)
        return Conditions(np.array([rate], np.float32), pictures_uint8=picture_uint8[None])

    def _picture(self, name: str, conditions: Conditions, stream: bytes, height: int, width: int) -> np.ndarray:
        from uqdm.refine.pictures import mean, sample

        if name == MEAN:
            return mean(self._model, conditions, height, width)[0]
        noise = _noise(self.values["seed"], stream)
        return sample(self._model, conditions, [noise], height, width, self.values["steps"])[0]

    @property
    def _names(self) -> tuple[str, ...]:
        wanted: str = self.values["reconstruct"]
        return (DECODED, MEAN, SAMPLE) if wanted == ALL else tuple(wanted.split("+"))


def _noise(seed: int, stream: bytes) -> np.random.Generator:
    """Normal deviates for a stream, independent of those of other streams and of the device."""
    words = np.frombuffer(hashlib.sha256(stream).digest(), "<u4").tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))


def _folder(model: str, codec: str) -> Path:
    return find(model) if model else find_for(codec)


@functools.lru_cache(maxsize=4)
def _load(folder: Path) -> RefineModel:
    from uqdm.progressive.device import best_device
    from uqdm.refine.model import load

    model = load(folder)
    model.network.to(best_device())
    return model


@functools.lru_cache(maxsize=64)
def _macs(model: RefineModel, height: int, width: int) -> int:
    from uqdm.refine.pictures import multiply_accumulates

    return multiply_accumulates(model.network, height, width)
