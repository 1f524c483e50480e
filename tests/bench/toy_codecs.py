"""Small codecs for tests of the evaluation: a raw one, a progressive one, and some that misbehave on marked images.

An image is marked by its first value, ``image[0, 0, 0]``.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import signal
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from uqdm.codec import Codec, Encoded, Missing, Parameter, Point, Reconstruction, StreamError

RAISE, KILL, WRONG_SHAPE, WRONG_DTYPE, WRONG_POINT, HANG, CRASH, FILL = 201, 202, 203, 204, 205, 206, 207, 208


class Raw(Codec):
    """Eight bytes of size, then the values with their low ``drop`` bits cleared."""

    name = "toy-raw"
    summary = "raw values"
    parameters = (Parameter("drop", int, 0, minimum=0, maximum=7),)
    sweep: ClassVar = ({"drop": 0}, {"drop": 4})
    suffix = ".raw"

    @property
    def version(self) -> str:
        return "toy 1"

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        drop = self.values["drop"]
        return [struct.pack("<II", *image.shape[:2]) + (image >> drop << drop).tobytes() for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        return [self._decode(stream) for stream in streams]

    def _decode(self, stream: bytes) -> np.ndarray:
        height, width = struct.unpack("<II", stream[:8])
        if len(stream) != 8 + height * width * 3:
            raise StreamError(f"{len(stream)} bytes for {height} x {width} pixels")
        return np.frombuffer(stream, np.uint8, offset=8).reshape(height, width, 3)


class Faulty(Raw):
    """As Raw, in batches of four, but misbehaves on marked images."""

    name = "toy-faulty"
    sweep: ClassVar = ({},)
    batch_size = 4

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        marks = [int(image[0, 0, 0]) for image in images]
        if KILL in marks:
            os.kill(os.getpid(), signal.SIGKILL)
        if RAISE in marks:
            raise RuntimeError("cannot encode this\nimage")
        return super().encode(images)

    def _decode(self, stream: bytes) -> np.ndarray:
        image = super()._decode(stream)
        if image[0, 0, 0] == WRONG_SHAPE:
            return image[:-1]
        return image.astype(np.float32) if image[0, 0, 0] == WRONG_DTYPE else image

    def points(self, stream: bytes) -> list[Point]:
        return [Point("full", len(stream) - (stream[8] == WRONG_POINT))]


class Model(Raw):
    """A progressive codec that holds a model: high nibbles first, then low ones; two reconstructions of the first."""

    name = "toy-model"
    sweep: ClassVar = ({"drop": 0},)
    batch_size = 4
    holds_model = True

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        if any(image[0, 0, 0] == KILL for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        halves = [(image >> 4, image & 15) for image in images]
        heads = [struct.pack("<II", *image.shape[:2]) for image in images]
        return [head + high.tobytes() + low.tobytes() for head, (high, low) in zip(heads, halves, strict=True)]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        bits = [4.0 * image.size for image in images]
        streams = self.encode(images)
        return [Encoded(s, {"high": b, "all": 2 * b}, seed=7) for s, b in zip(streams, bits, strict=True)]

    def points(self, stream: bytes) -> list[Point]:
        half = (len(stream) - 8) // 2
        return [Point("high", 8 + half, ("floor", "middle")), Point("all", len(stream))]

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        first, last = self.points(stream)
        height, width = struct.unpack("<II", stream[:8])
        high, low = np.frombuffer(stream, np.uint8, offset=8).reshape(2, height, width, 3)
        yield Reconstruction(first, "floor", high << 4)
        yield Reconstruction(first, "middle", (high << 4) + np.uint8(8))
        yield Reconstruction(last, "decoded", (high << 4) + low)

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        return [list(self.reconstructions(stream))[-1].image_uint8 for stream in streams]


class Absent(Raw):
    """A codec whose library is never installed."""

    name = "toy-absent"

    @classmethod
    def missing(cls) -> Missing | None:
        return Missing("libtoy is not installed", "install it from its home page")


class Slow(Raw):
    """Takes a moment for each image, so that a test can interrupt it."""

    name = "toy-slow"
    sweep: ClassVar = ({},)

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        time.sleep(0.1 * len(images))
        return super().encode(images)


PASSES = "encoding-is-over"
"""A file of this name next to the installed module makes :class:`Once` raise when it encodes."""


class Once(Raw):
    """Encodes until a file with the name ``PASSES`` exists."""

    name = "toy-once"
    sweep: ClassVar = ({"drop": 4},)

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        if Path(__file__).with_name(PASSES).exists():
            raise RuntimeError("asked to encode")
        return super().encode(images)


class Noisy(Raw):
    """Decodes to another picture each time, and declares that."""

    name = "toy-noisy"
    sweep: ClassVar = ({"drop": 4},)
    varying_reconstructions = frozenset({"decoded"})

    def _decode(self, stream: bytes) -> np.ndarray:
        picture = super()._decode(stream)
        return picture | np.random.default_rng().integers(0, 2, dtype=np.uint8, size=picture.shape)


class Deadly(Raw):
    """Kills its process when it decodes a marked picture."""

    name = "toy-deadly"
    sweep: ClassVar = ({"drop": 0},)

    def _decode(self, stream: bytes) -> np.ndarray:
        if stream[8] == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._decode(stream)


class SlowDecoder(Raw):
    """Takes a moment to decode each image, so that a test can interrupt it."""

    name = "toy-slow-decoder"
    sweep: ClassVar = ({"drop": 4},)

    def _decode(self, stream: bytes) -> np.ndarray:
        time.sleep(0.1)
        return super()._decode(stream)


class Perilous(Raw):
    """Raises, crashes in C, or hangs in C with Python's lock held, on marked images."""

    name = "toy-perilous"
    sweep: ClassVar = ({},)

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        marks = [int(image[0, 0, 0]) for image in images]
        if RAISE in marks:
            raise RuntimeError("cannot encode this")
        if CRASH in marks:
            ctypes.string_at(0)
        if HANG in marks:
            re.match(r"(a+)+$", "a" * 64 + "b")  # tries 2**64 ways
        return super().encode(images)


class Layered(Model):
    """As Model, but without one; decodes a cut stream to its high nibbles."""

    name = "toy-layered"
    holds_model = False

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        return [self._decode_prefix(stream) for stream in streams]

    def _decode_prefix(self, stream: bytes) -> np.ndarray:
        height, width = struct.unpack("<II", stream[:8])
        n = height * width * 3
        if not 8 + n <= len(stream) <= 8 + 2 * n:
            raise StreamError(f"{len(stream)} bytes for {height} x {width} pixels")
        if len(stream) == 8 + 2 * n:
            return list(self.reconstructions(stream))[-1].image_uint8
        return np.frombuffer(stream, np.uint8, n, offset=8).reshape(height, width, 3) << 4


class Hazardous(Raw):
    """Crashes in C, hangs in C with Python's lock held, or fills the memory, when it decodes a marked picture."""

    name = "toy-hazardous"
    sweep: ClassVar = ({},)

    def _decode(self, stream: bytes) -> np.ndarray:
        mark = stream[8]
        if mark == CRASH:
            ctypes.string_at(0)
        if mark == HANG:
            ctypes.PyDLL(None).sleep(1000)
        blocks = []
        while mark == FILL and len(blocks) < 64:
            blocks.append(np.ones(1 << 23))  # 64 MiB
        return super()._decode(stream)


BROKEN = "TOY_BROKEN"
"""If this variable is set in a node's environment, :class:`Picky` cannot be constructed."""


class Picky(Slow):
    """Cannot be constructed on some nodes."""

    name = "toy-picky"
    holds_model = True

    def __init__(self, **values: object) -> None:
        if os.environ.get(BROKEN):
            raise RuntimeError("the model does not load here")
        super().__init__(**values)


class OnGpu(Slow):
    """Reports the GPU that Ray assigned to its worker, if any, and whether the worker is one for GPUs."""

    name = "toy-on-gpu"
    uses_gpu = True
    holds_model = True

    @property
    def device(self) -> str:
        return f"cuda:{os.environ['CUDA_VISIBLE_DEVICES']}" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"


class BesideGpu(Raw):
    """A classic codec that reports a GPU if Ray assigned one."""

    name = "toy-beside-gpu"
    sweep: ClassVar = ({},)
    device = OnGpu.device


VERSION = "version-of-the-library"
"""A file of this name next to the installed package has the number of low bits that :class:`Versioned` clears."""


class Versioned(Raw):
    """Another version of its library clears other bits."""

    name = "toy-versioned"
    sweep: ClassVar = ({},)

    @property
    def version(self) -> str:
        return f"toy {self._bits()}"

    @staticmethod
    def _bits() -> int:
        return int(Path(str(importlib.metadata.distribution("toy-codecs").locate_file(VERSION))).read_text())

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        return super().encode([image >> self._bits() << self._bits() for image in images])


ALL = (Raw, Faulty, Model, Absent, Slow, Once, Noisy, Deadly, SlowDecoder)
ALL += (Layered, Perilous, Hazardous, Picky, OnGpu, BesideGpu, Versioned)


def install(folder: os.PathLike[str]) -> None:
    """Installs this module as a package into ``folder``, which has to be on the module path."""
    root = Path(folder)
    info = root / "toy_codecs-1.dist-info"
    info.mkdir(parents=True)
    (root / "toy_codecs.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-codecs\nVersion: 1\n")
    lines = ["[uqdm.codecs]", *(f"{codec.name} = toy_codecs:{codec.__name__}" for codec in ALL)]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
