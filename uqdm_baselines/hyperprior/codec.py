"""The learned transform codes as :class:`uqdm.codec.Codec`: by rounding, and by universal quantization."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from uqdm.codec import (
    CodecUnavailableError,
    Encoded,
    LatentCodec,
    Parameter,
    ParameterError,
    Reconstruction,
    StreamError,
    StreamParts,
    check_images,
    check_parameters,
)
from uqdm.transform import zoo
from uqdm.transform.quantization import ROUNDING, UNIVERSAL
from uqdm_baselines.hyperprior.file import CHECK_BYTES, MAX_PIXELS, MAX_SEED, Header, parse

if TYPE_CHECKING:
    from uqdm.transform.model import Model
    from uqdm_baselines.hyperprior.coder import Opened

DEFAULT_MODEL = "ntc-demo"
_N_QUALITIES = 8
"""Levels of the default model for each quantization."""
_BATCH = 8
_BATCH_PIXELS = 1 << 18
_Result = TypeVar("_Result")


class TransformCodec(LatentCodec):
    """Transform coding by a model of :mod:`uqdm.transform`; a subclass says how latents are quantized.

    Latents decode to the same values on every machine. So do the pictures of the project's own models; those of
    CompressAI's checkpoints may differ by rounding. Images are padded to multiples of the model's stride, 16 or 64, by
    repeating their last row and column.
    """

    quantization: ClassVar[str]
    sweep: ClassVar = tuple({"quality": quality} for quality in range(1, _N_QUALITIES + 1))
    batch_size = _BATCH
    holds_model = True
    uses_gpu = True

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._loaded = None if _lacks_default(self.values["model"]) else _load(self.values["model"], self.quantization)
        if self._loaded is not None:
            from uqdm_baselines.hyperprior.pictures import are_exact

            self._quality = _quality(self._loaded, self.quantization, self.values["quality"])
            self.varying_reconstructions = frozenset() if are_exact(self._loaded) else frozenset({"decoded"})

    @property
    def _model(self) -> Model:
        if self._loaded is None:
            raise CodecUnavailableError(_unavailable(self.name))
        return self._loaded

    @property
    def version(self) -> str:
        """Name and digest of the model; raises CodecUnavailableError where it is not in the package."""
        return f"{self._model.name} sha256:{self._model.sha256[:16]}"

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`."""
        model = check_parameters(cls, values)["model"]
        if _lacks_default(model):
            raise CodecUnavailableError(_unavailable(cls.name))
        return str(zoo.identify(model, cls.quantization))

    @property
    def device(self) -> str:
        """``cpu``, or the name of the GPU."""
        import torch

        if self._loaded is None:
            return "cpu"
        device = self._loaded.device
        return f"cuda:{torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"

    @property
    def _seed(self) -> int:
        """Seed of the dither."""
        return int(self.values.get("seed", 0))

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """See :meth:`uqdm.codec.Codec.encode`."""
        return [made.stream for made in self.encode_detailed(images)]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Adds the model's estimate of the bits. Raises ValueError for an image of more than 2^24 pixels."""
        from uqdm_baselines.hyperprior import coder

        check_images(images)
        headers = [self._header(*image.shape[:2]) for image in images]
        seed = self._seed if self.quantization == UNIVERSAL else None

        def encode(places: Sequence[int]) -> list[Encoded]:
            made = coder.encode(self._model, [images[place] for place in places], [headers[place] for place in places])
            return [Encoded(one.file, {"full": one.ideal_bits}, seed, calls=1) for one in made]

        return _by_batches(headers, self._model.transforms.stride, encode)

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """See :meth:`uqdm.codec.Codec.decode`."""
        return [opened.picture for opened in self.open(streams)]

    def latents(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Latents divided by the gains of the file's quality; see :meth:`uqdm.codec.LatentCodec.latents`."""
        from uqdm_baselines.hyperprior.coder import level_of

        found = []
        for stream, opened in zip(streams, self.open(streams), strict=True):
            level = level_of(self._model, self._parse(stream)[0])
            found.append(self._model.transforms.without_gain(opened.y, level)[0].float().numpy())
        return found

    def open(self, streams: Sequence[bytes]) -> list[Opened]:
        """Latents and pictures of files; raises :class:`uqdm.codec.StreamError`."""
        from uqdm_baselines.hyperprior import coder

        files = [self._parse(stream) for stream in streams]

        def decode(places: Sequence[int]) -> list[Opened]:
            try:
                return coder.decode(self._model, [files[place] for place in places])
            except StreamError as error:
                used = f"decoding it by {self.name} with the model {self._model.name} {self._model.sha256[:8]}"
                raise StreamError(f"{error} (the file is damaged, or of another model or codec; {used})") from error

        return _by_batches([header for header, _, _ in files], self._model.transforms.stride, decode)

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """The stream; its check value; the header."""
        _, header, coded = self._parse(stream)
        return {"full": StreamParts(len(coded) - CHECK_BYTES, CHECK_BYTES, len(header))}

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """The picture, with its network calls and multiply-accumulates."""
        (opened,) = self.open([stream])
        macs = _decoder_macs(self._model, *self._parse(stream)[0].padded(self._model.transforms.stride))
        yield Reconstruction(self.points(stream)[-1], "decoded", opened.picture, calls=1, macs=macs)

    def _header(self, height: int, width: int) -> Header:
        if height * width > MAX_PIXELS:
            raise ValueError(f"{height} x {width} pixels: {self.name} codes images of at most {MAX_PIXELS:,}")
        return Header(self.quantization, _model_id(self._model), self._quality, height, width, self._seed)

    def _parse(self, data: bytes) -> tuple[Header, bytes, bytes]:
        """Header, its bytes, and stream of a file."""
        header, end = parse(data, self.quantization, _model_id(self._model))
        return header, data[:end], data[end:]


_MODEL = Parameter("model", str, DEFAULT_MODEL, zoo.MODEL_HELP, canonical=zoo.absolute_name, sweeps=True)
_QUALITY = Parameter("quality", int, 0, "rate, from 1 for the lowest of the model's; 0: the middle one", minimum=0)


class Hyperprior(TransformCodec):
    """Transform coding with a hyperprior or a factorized prior (Balle et al. 2018, Minnen et al. 2018)."""

    name = "hyperprior"
    summary = "learned transform coding (Balle et al. 2018, Minnen et al. 2018), CompressAI's checkpoints too, in files"
    parameters = (_MODEL, _QUALITY)
    suffix = ".hyperprior"
    quantization = ROUNDING


class UniversallyQuantized(TransformCodec):
    """The same with universal quantization: the latents that a decoder gets are y plus uniform noise."""

    name = "uq-ntc"
    summary = "learned transform coding with universal quantization (Agustsson & Theis 2020), in files"
    parameters = (_MODEL, _QUALITY, Parameter("seed", int, 0, "of the dither", minimum=0, maximum=MAX_SEED))
    suffix = ".uqntc"
    quantization = UNIVERSAL


def _by_batches(
    headers: Sequence[Header], stride: int, work: Callable[[Sequence[int]], Sequence[_Result]]
) -> list[_Result]:
    """Results for all images, in their order; ``work`` gets places of images that go through the networks together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, header in enumerate(headers):
        key = (*header.padded(stride), header.quality, header.seed, header.offsets)
        groups.setdefault(key, []).append(place)
    found: dict[int, _Result] = {}
    for (height, width, *_, offsets), places in groups.items():
        at_once = 1 if offsets else max(1, min(_BATCH, _BATCH_PIXELS // (height * width)))
        for begin in range(0, len(places), at_once):
            batch = places[begin : begin + at_once]
            found.update(zip(batch, work(batch), strict=True))
    return [found[place] for place in range(len(headers))]


def _model_id(model: Model) -> int:
    return bytes.fromhex(model.sha256)[0]


def _quality(model: Model, quantization: str, wanted: int) -> int:
    """The quality, or the middle one for 0; raises :class:`uqdm.codec.ParameterError`."""
    n = len(model.levels_for(quantization))
    if wanted > n:
        has = f"has qualities 1 to {n}" if n > 1 else "has one quality, 1"
        raise ParameterError(f"quality={wanted}: the model {model.name} {has}")
    return wanted or (n + 1) // 2


def _lacks_default(model: str) -> bool:
    return model == DEFAULT_MODEL and DEFAULT_MODEL not in zoo.shipped_transforms()


def _unavailable(name: str) -> str:
    return f"the model {DEFAULT_MODEL} is not in this package; name one: {name}:model=FOLDER or FILE.pth.tar"


def _load(model: str, quantization: str) -> Model:
    try:
        path = zoo.find(model)
        return _load_file(path, quantization, zoo.stamps(path))
    except zoo.CheckpointError as error:
        raise ParameterError(f"model: {error}") from error


@functools.lru_cache(maxsize=4)
def _load_file(path: Path, quantization: str, stamps: tuple[tuple[int, int], ...]) -> Model:
    import torch

    model = zoo.load_named(str(path), quantization)
    if torch.cuda.is_available():
        model.transforms.cuda()
    return model


@functools.lru_cache(maxsize=64)
def _decoder_macs(model: Model, height: int, width: int) -> int:
    """Multiply-accumulates of a decoder for a padded image."""
    from uqdm.transform.macs import decoder_macs

    return decoder_macs(model.transforms, height, width)
