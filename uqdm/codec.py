"""The contract that every codec meets, and the registry that finds them.

A codec turns uint8 images into bytes and back. One file that defines a subclass of :class:`Codec`, and one
entry point in the group ``uqdm.codecs``, is sufficient to join the benchmark (see ``docs/add-a-codec.md``).
This module imports no codec: the registry loads one when its name is requested.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from uqdm.errors import UserError
from uqdm.plugins import Broken, check_name
from uqdm.registry import Errors, Registry, suggest
from uqdm.text import printable

ENTRY_POINT_GROUP = "uqdm.codecs"


LABEL = "label"
"""The key of a request that names its curve. No codec may have a parameter of this name."""
TARGET = "target"
"""The key of a request for what its setting is searched for. No codec may have a parameter of this name."""


class StreamError(ValueError):
    """A stream cannot be decoded: it is damaged, cut short, or from another encoder. The message says which."""


class ParameterError(ValueError):
    """A codec parameter is unknown, of the wrong type, or out of range."""


class UnknownCodecError(LookupError):
    """No codec of that name is registered. The message suggests near names and lists all of them."""


class CodecClashError(UserError):
    """Two packages register different codecs under one name; neither is used."""


class CodecUnavailableError(UserError):
    """The codec is registered, but a library or program that it needs is missing here."""


class NoFileError(UserError):
    """A file was requested from an ideal codec, which has rates but makes no files."""


@dataclass(frozen=True)
class Missing:
    """Why a codec cannot run on this machine, and the remedy."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a codec: its type, default and allowed values.

    ``minimum`` and ``maximum`` are inclusive. A parameter with ``choices`` takes one of them. ``canonical`` maps an
    allowed value to its canonical spelling, so that equal settings have equal texts. For a path it is
    :func:`uqdm.paths.absolute_text`, and the setting is valid in any working directory. With ``sweeps``, ranges and
    lists (``10..90:10``, ``10|20``) are read in a free text as they are for numbers (:mod:`uqdm.bench.run.sweeps`).

    >>> Parameter("quality", int, 75, minimum=1, maximum=100).check(50)
    50
    """

    name: str
    type: type
    default: Any
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None
    canonical: Callable[[Any], Any] | None = None
    sweeps: bool = False

    def check(self, value: Any) -> Any:
        """Returns ``value`` in this parameter's type; raises :class:`ParameterError` if it is not allowed.

        Integers are accepted for floats, and text (from a command line) for numbers and booleans.
        """
        typed = self._typed(value)
        if isinstance(typed, float) and not math.isfinite(typed):
            raise ParameterError(f"{self.name}={value!r}: must be finite")
        if self.choices is not None and typed not in self.choices:
            raise ParameterError(f"{self.name}={value!r}: choose one of {', '.join(map(str, self.choices))}")
        if self.minimum is not None and typed < self.minimum:
            raise self._wrong(value, f"must be at least {self.minimum}")
        if self.maximum is not None and typed > self.maximum:
            raise self._wrong(value, f"must be at most {self.maximum}")
        return typed if self.canonical is None or typed is None else self._spelled(typed)

    def _spelled(self, typed: Any) -> Any:
        assert self.canonical is not None
        try:
            return self.canonical(typed)
        except ValueError as error:
            raise ParameterError(f"{self.name}={typed!r}: {error}") from error

    def _typed(self, value: Any) -> Any:
        if type(value) is self.type or (value is None and self.default is None):
            return value
        if self.type is float and type(value) is int:
            return float(value)
        if isinstance(value, str):
            try:
                return _parse_text(value, self.type)
            except ValueError:
                pass
        raise self._wrong(value, f"expected {self.type.__name__}, got {type(value).__name__}")

    def _wrong(self, value: Any, reason: str) -> ParameterError:
        return ParameterError(f"{self.name}={value!r}: {reason}; {self.name} is {self.allowed()}")

    def allowed(self) -> str:
        """The allowed values in words.

        >>> Parameter("quality", int, 75, minimum=1, maximum=100).allowed()
        'a whole number from 1 to 100'
        >>> Parameter("distance", float, 1.0, minimum=0).allowed()
        'a number of at least 0'
        """
        if self.choices is not None:
            return f"one of {', '.join(map(str, self.choices))}"
        kind = _KINDS.get(self.type, self.type.__name__)
        if self.minimum is not None and self.maximum is not None:
            return f"{kind} from {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f"{kind} of at least {self.minimum}"
        return kind if self.maximum is None else f"{kind} of at most {self.maximum}"


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _parse_text(text: str, wanted: type) -> Any:
    if wanted is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    if wanted in (int, float):
        return wanted(text)
    raise ValueError(text)


@dataclass(frozen=True)
class Point:
    """A place at which a stream can be cut and decoded.

    ``n_bytes`` is the length of the shortest prefix of the stream from which the point can be decoded, headers
    included. ``reconstructions`` names the ways in which a picture can be made from those bytes.
    """

    name: str
    n_bytes: int
    reconstructions: tuple[str, ...] = ("decoded",)


@dataclass(frozen=True)
class StreamParts:
    """Where the bytes of a stream up to a point go: each byte is of one part.

    ``payload_bytes`` is what the entropy coder wrote. ``side_bytes`` is what its decoder needs besides: lengths and
    places of the payload's parts, tables, parameters of the coding tools, check values. ``container_bytes`` is the
    rest: signature, version, size, flags, names.

    >>> StreamParts(90, 6, 4).n_bytes
    100
    """

    payload_bytes: int
    side_bytes: int
    container_bytes: int

    @property
    def n_bytes(self) -> int:
        """All bytes."""
        return self.payload_bytes + self.side_bytes + self.container_bytes


@dataclass(frozen=True)
class Encoded:
    """A stream with additional data from its encoder.

    ``ideal_bits`` holds, by the name of the point, the information content in bits up to it (the model's own
    estimate, without coder, header or padding); empty if the codec has no such estimate.
    ``seed`` is the seed of the stream's randomness, if any. ``calls`` is the number of network calls to make it; None
    means 0, or not reported if the codec holds a model.
    """

    stream: bytes
    ideal_bits: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    calls: int | None = None


@dataclass(frozen=True)
class Reconstruction:
    """A picture decoded from a stream at a point, by the kind of reconstruction ``name``; uint8 [H, W, 3].

    ``decode_ms`` is the time from the stream to this picture alone, if the codec makes several at once; with None
    the caller times the iteration. ``calls`` and ``macs`` are the network calls that lead from the
    stream to this picture alone and their multiply-accumulates, as ``docs/comparing.md`` counts them; None means
    0, or not reported if the codec holds a model.
    """

    point: Point
    name: str
    image_uint8: np.ndarray
    decode_ms: float | None = None
    calls: int | None = None
    macs: int | None = None


class Codec(ABC):
    """Compresses uint8 RGB images [H, W, 3] to self-contained streams of bytes.

    A subclass sets ``name`` and ``summary``, lists its ``parameters``, and defines :attr:`version`,
    :meth:`encode` and :meth:`decode`. A progressive codec also overrides :meth:`points` and
    :meth:`reconstructions`. Parameters are given to the constructor by name, checked there, and kept in
    ``self.values``; :attr:`setting` is their canonical text, and a column of the results.

    Streams and ideal bits must not depend on the other images of a batch, and streams must decode with nothing but
    themselves and a codec of the same parameters.
    """

    name: ClassVar[str]
    """Registered name, as in ``get_codec(name)`` and in the results."""
    summary: ClassVar[str] = ""
    """One line on what the codec is."""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    """The parameters that the constructor takes."""
    sweep: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """The settings that a benchmark runs by default, as keyword arguments of the constructor."""
    check_sweep: ClassVar[tuple[Mapping[str, Any], ...] | None] = None
    """The settings that ``uqdm doctor`` checks; None for those of ``sweep``, if these take seconds."""
    suffix: str = ".bin"
    """File name suffix of a stream."""
    batch_size: int = 1
    """Number of images that a benchmark passes to :meth:`encode` at once; it may depend on the device."""
    holds_model: ClassVar[bool] = False
    """True if construction is costly (weights are loaded): a worker then keeps the codec between shards."""
    uses_gpu: bool = False
    """True if it computes on a GPU when its worker has one; other codecs get none. It may depend on the parameters."""
    ideal: ClassVar[bool] = False
    """True for an ideal codec: its rates are information contents, and it makes no files (:class:`IdealCodec`)."""
    varying_reconstructions: frozenset[str] = frozenset()
    """Names of reconstructions that may differ by rounding between machines; all others must be equal everywhere."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = check_parameters(type(self), values)

    @classmethod
    def missing(cls) -> Missing | None:
        """What this codec lacks on this machine; None if it can run."""
        return None

    @property
    @abstractmethod
    def version(self) -> str:
        """The library that does the work and its version, e.g. ``"Pillow 12.0.0, libjpeg-turbo 3.1.2"``.

        A change of it means that streams may differ: finished results are not reused across versions. Raises
        :class:`CodecUnavailableError` if this setting, unlike others, needs something that is missing here.
        """

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """:attr:`version` at these parameters; raises as the constructor does.

        A codec that is slow to construct overrides it, so that ``uqdm codecs`` is fast.
        """
        return cls(**values).version

    @property
    def setting(self) -> str:
        """Canonical text of the parameters, e.g. ``"quality=50"``; parameters in their declared order, printable."""
        return printable(",".join(f"{key}={value_text(value)}" for key, value in self.values.items()))

    @property
    def device(self) -> str:
        """Where the work is done: ``"cpu"``, or ``"cuda:"`` with the name of the GPU; a column of the results."""
        return "cpu"

    @property
    def progressive(self) -> bool:
        """True if streams may have several points; by default, if :meth:`points` is overridden."""
        return type(self).points is not Codec.points

    @property
    def black_pixel_bits(self) -> int | None:
        """The overhead of the format: bits of the whole file of one black pixel at these parameters.

        None if it cannot be determined, or would mislead. It helps to interpret rates of small pictures and is never
        subtracted from a rate.
        """
        return None

    @abstractmethod
    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Encodes each image, uint8 [H, W, 3] (sizes may differ), to a stream of its own."""

    @abstractmethod
    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decodes each whole stream to uint8 [H, W, 3]; raises :class:`StreamError` if that is impossible."""

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """As :meth:`encode`, with ideal bits and seeds if the codec has them."""
        return [Encoded(stream) for stream in self.encode(images)]

    def points(self, stream: bytes) -> list[Point]:
        """The points of a stream in order of their bytes; the last one is the whole stream."""
        return [Point("full", len(stream))]

    def parts(self, stream: bytes) -> Mapping[str, StreamParts]:
        """Where the bytes of each point go, by its name, as the stream itself tells; empty if it cannot be told."""
        return {}

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Decodes a stream once, and yields every reconstruction of every point, in the order of the points."""
        (point,) = self.points(stream)
        (image,) = self.decode([stream])
        yield Reconstruction(point, point.reconstructions[0], image)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.values.items())
        return f"{type(self).__name__}({arguments})"


class LatentCodec(Codec):
    """A codec whose streams hold latents of a network, on a grid that is coarser than the pixels.

    A second stage may generate pictures from them (:mod:`uqdm.refine`).
    """

    @abstractmethod
    def latents(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decoded latents of each whole stream, float32 [C, h, w], in units that do not depend on the rate.

        Each cell is a square of pixels, whose side is the power of two at which h cells or more cover the image; the
        image may have been padded at its right and bottom. Raises :class:`StreamError`.
        """


class IdealCodec(Codec):
    """A codec whose rates no file reaches, such as Gaussian diffusion under ideal channel simulation.

    :meth:`encode_detailed` gives ``ideal_bits`` for every point, and in place of a stream a *record*, from which
    :meth:`reconstructions` can make the same pictures again. A record is no bitstream. Its size is not a rate, so each
    point needs the whole record, and its first bytes identify it. In the results the rows of
    an ideal codec have the ``rate_kind`` 'ideal', ``ideal_bits``, and neither bits of files nor times of coding.
    """

    ideal: ClassVar[bool] = True

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Raises :class:`NoFileError`."""
        raise NoFileError(f"{self.name} is an ideal codec: its rates are information contents, and it makes no files")

    @abstractmethod
    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Ideal bits and a record of each image, uint8 [H, W, 3]."""


def value_text(value: Any) -> str:
    """A parameter's value as text, as in :attr:`Codec.setting`.

    >>> value_text(True), value_text(0.5)
    ('true', '0.5')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_parameters(codec: type[Codec], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all parameters of ``codec``: ``values`` checked, the rest at their defaults, in declared order.

    Raises :class:`ParameterError`, which names the codec and the parameter.
    """
    known = {parameter.name: parameter for parameter in codec.parameters}
    for name in values:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ParameterError(f"{codec.name} has no parameter {name!r}{suggest(name, known)}; it takes: {listed}")
    return {name: _checked(codec, known[name], values) for name in known}


def _checked(codec: type[Codec], parameter: Parameter, values: Mapping[str, Any]) -> Any:
    if parameter.name not in values:
        return parameter.default
    try:
        return parameter.check(values[parameter.name])
    except ParameterError as error:
        raise ParameterError(f"codec {codec.name}: {error}") from error


def check_images(images: Sequence[np.ndarray]) -> None:
    """Raises ValueError unless every image is a non-empty uint8 array [H, W, 3]."""
    for index, image in enumerate(images):
        shape, dtype = np.shape(image), getattr(image, "dtype", type(image))
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(f"image {index}: expected uint8 [H, W, 3], got {dtype} {list(shape)}")


# ---- registry -----------------------------------------------------------------------------------------------


def register_codec(codec: type[Codec]) -> type[Codec]:
    """Registers a codec class in this process (a notebook, a test). Packages use an entry point instead.

    Ray workers are separate processes, and find entry points only. A class that is defined again under its own
    name (a cell that is run twice) replaces the previous one.
    """
    return CODECS.register(codec.name, codec)


def codec_names() -> list[str]:
    """Names of all registered codecs, sorted, including those that do not load; nothing is imported."""
    return CODECS.names()


def broken_codecs() -> tuple[Broken, ...]:
    """Codecs of other packages that are left out because of their names: not allowed, or taken. Nothing is imported."""
    return CODECS.misnamed()


def codec_class(name: str) -> type[Codec]:
    """The class registered under ``name``; imports the module that defines it.

    Raises :class:`UnknownCodecError` for an unknown name, :class:`CodecClashError` for one that several packages claim,
    :class:`CodecUnavailableError` if its module does not import here, and TypeError or :class:`ParameterError`
    if it violates the contract.
    """
    return CODECS.get(name)


def get_codec(name: str, **parameters: Any) -> Codec:
    """Constructs the codec ``name`` with these parameters.

    >>> codec = get_codec("png")
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> codec.decode(codec.encode([image]))[0].shape
    (4, 6, 3)
    """
    codec = codec_class(name)
    missing = codec.missing()
    if missing is not None:
        raise CodecUnavailableError(f"codec {name!r} cannot run here: {missing}")
    return codec(**parameters)


def _check_class(name: str, codec: Any) -> type[Codec]:
    check_name("codec", name)
    if not (isinstance(codec, type) and issubclass(codec, Codec)):
        raise TypeError(f"codec {name!r}: {codec!r} is not a subclass of uqdm.codec.Codec")
    if getattr(codec, "__abstractmethods__", None):
        raise TypeError(
            f"codec {name!r}: {codec.__name__} does not define {', '.join(sorted(codec.__abstractmethods__))}"
        )
    if getattr(codec, "name", None) != name:
        raise TypeError(f"codec {name!r}: the class is named {getattr(codec, 'name', None)!r}; the two must agree")
    if not all(isinstance(parameter, Parameter) for parameter in codec.parameters):
        raise TypeError(f"codec {name!r}: parameters must be uqdm.codec.Parameter, got {codec.parameters!r}")
    if any(parameter.name == LABEL for parameter in codec.parameters):
        raise TypeError(f"codec {name!r}: a parameter is named {LABEL!r}, which names curves; rename the parameter")
    if any(parameter.name == TARGET for parameter in codec.parameters):
        raise TypeError(f"codec {name!r}: a parameter is named {TARGET!r}, which names targets; rename the parameter")
    if not isinstance(codec.summary, str):
        raise TypeError(f"codec {name!r}: its summary is {type(codec.summary).__name__}, not text")
    for settings in (*codec.sweep, *(codec.check_sweep or ())):
        check_parameters(codec, settings)
    return codec  # type: ignore[no-any-return]


CODECS: Registry[type[Codec]] = Registry(
    "codec",
    ENTRY_POINT_GROUP,
    _check_class,
    errors=Errors(UnknownCodecError, CodecClashError, CodecUnavailableError),
)
"""The codecs that are installed, and those of this process."""
