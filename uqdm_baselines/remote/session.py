"""A codec's host with its environment: started when it is needed, started again after a fault, and its version."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.codec import CodecUnavailableError, Encoded, Point
from uqdm.environments import Environment
from uqdm.files import write_bytes
from uqdm.places import writable_cache_folder
from uqdm_baselines._process import ProgramError
from uqdm_baselines.program import file_sha256
from uqdm_baselines.remote import answers
from uqdm_baselines.remote.answers import Hello
from uqdm_baselines.remote.frames import HostError
from uqdm_baselines.remote.host import Host

HOST_FILE = Path(__file__).parent / "host_file" / "uqdm_codec_host.py"
"""The other side of the protocol: scripts import it as ``uqdm_codec_host``."""


@dataclass(frozen=True)
class Limits:
    """Of a host: seconds to start, seconds for an image, bytes of a stream, and resident bytes of its processes."""

    start_s: float
    image_s: float
    stream_bytes: int
    memory_bytes: int


class Session:
    """The calls of one codec's host. ``name`` is the codec's, ``files`` are hashed into its version.

    Calls raise :class:`~uqdm_baselines._process.ProgramError` where the host failed, was too slow or exceeded a limit;
    the next call starts it again. :class:`~uqdm_baselines.remote.answers.AnsweredError` is the codec's own report.
    """

    def __init__(
        self, name: str, words: Sequence[str], environment: Environment, files: Sequence[Path], limits: Limits
    ):
        self._name, self._words, self._environment, self._files, self._limits = name, words, environment, files, limits
        self._host: Host | None = None
        self._hello: Hello | None = None

    @property
    def hello(self) -> Hello:
        """The host's description of its codec. It is kept on disk, so that a host need not start to be listed.

        Raises :class:`~uqdm.codec.CodecUnavailableError` if the host does not start.
        """
        if self._hello is None:
            self._hello = _kept(self._identity()) or self.running_hello
        return self._hello

    @property
    def running_hello(self) -> Hello:
        """As :attr:`hello`, by a host that runs: only that one knows the device of this machine."""
        self._running()
        assert self._hello is not None
        return self._hello

    @property
    def version(self) -> str:
        """Name and version of the codec as the host tells it, the identity of the environment, hashes of files."""
        return ", ".join(filter(None, (str(self.hello), self._environment.identity, *map(_hashed, self._files))))

    def encode(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """A stream of each image, uint8 [H, W, 3], with ideal bits where the codec tells them."""
        bits: list[dict[str, float]] = []

        def check(answer: Mapping[str, Any]) -> int:
            total = sum(answers.stream_sizes(answer, len(images), self._limits.stream_bytes))
            bits[:] = answers.ideal_bits(answer, len(images))
            return total

        shapes = [list(image.shape[:2]) for image in images]
        pixels = [np.ascontiguousarray(image).data.cast("B") for image in images]
        found, body = self._ask("encode", {"images": shapes}, pixels, len(images), check)
        ends = np.cumsum([0, *found["streams"]]).tolist()
        return [Encoded(body[a:b], ideal) for a, b, ideal in zip(ends, ends[1:], bits, strict=False)]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """The image of each stream, uint8 [H, W, 3]."""
        found, body = self._ask(
            "decode",
            {"streams": [len(stream) for stream in streams]},
            streams,
            len(streams),
            lambda answer: sum(3 * height * width for height, width in answers.shapes(answer, len(streams))),
        )
        return answers.images_of(body, answers.shapes(found, len(streams)))

    def points(self, stream: bytes) -> list[Point]:
        """The points of a stream; of a codec that is not progressive, its end."""
        if not self.hello.progressive:
            return [Point("full", len(stream))]
        found: list[Point] = []

        def check(answer: Mapping[str, Any]) -> int:
            found[:] = answers.points(answer, len(stream))
            return 0

        self._ask("points", {"streams": [len(stream)]}, [stream], 1, check)
        return found

    def close(self) -> None:
        """Stops the host, if it runs."""
        if self._host is not None:
            self._host.close()
            self._host = None

    def _ask(
        self,
        call: str,
        fields: Mapping[str, Any],
        parts: Sequence[bytes | memoryview],
        n_images: int,
        length_of: Callable[[Mapping[str, Any]], int],
    ) -> tuple[dict[str, Any], bytes]:
        def checked(answer: Mapping[str, Any]) -> int:
            return answers.error_length(answer) if "error" in answer else length_of(answer)

        host = self._running()
        answer, body = host.ask(call, fields, parts, self._limits.image_s * n_images, checked)
        answers.check_error(answer)
        return answer, body

    def _running(self) -> Host:
        """The host, started if it does not run; it must be the one whose version was told."""
        if self._host is None or not self._host.is_alive():
            told, self._hello = self._hello, self._start()
            if told is not None and str(self._hello) != str(told):
                started, self._hello = self._hello, told
                self.close()
                raise CodecUnavailableError(
                    f"codec {self._name!r}: the environment has {started} by now, not {told}: run again"
                )
        assert self._host is not None
        return self._host

    def _start(self) -> Hello:
        missing = self._environment.missing()
        if missing is not None:
            raise CodecUnavailableError(f"codec {self._name!r}: {missing}")
        paths = os.pathsep.join(filter(None, (str(HOST_FILE.parent), self._environment.variables().get("PYTHONPATH"))))
        variables = {**self._environment.variables(), "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
        found: list[Hello] = []

        def check(answer: Mapping[str, Any]) -> int:
            if "error" in answer:
                return answers.error_length(answer)
            found.append(Hello.of(answer))
            return 0

        try:
            self._host = Host(self._environment.command(self._words), variables, self._limits.memory_bytes)
            answer, _ = self._host.ask("hello", {}, [], self._limits.start_s, check)
            answers.check_error(answer)
        except (ProgramError, answers.AnsweredError, OSError) as error:
            self.close()
            raise CodecUnavailableError(f"codec {self._name!r} does not start: {error}") from error
        _keep(self._identity(), found[0])
        return found[0]

    def _identity(self) -> str:
        """What decides what the host tells of its codec, as a hash."""
        words = [*self._words, self._environment.identity, *map(_hashed, (HOST_FILE, *self._files))]
        return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _kept(identity: str) -> Hello | None:
    try:
        fields = json.loads((writable_cache_folder("hosts") / f"{identity}.json").read_text())
        return Hello.of({"hello": fields})
    except (OSError, ValueError, HostError):
        return None


def _keep(identity: str, hello: Hello) -> None:
    with contextlib.suppress(OSError):  # a machine without a folder to write: the host is asked each time
        write_bytes(writable_cache_folder("hosts") / f"{identity}.json", json.dumps(asdict(hello)).encode())


def _hashed(path: Path) -> str:
    return f"{path.name} sha256:{file_sha256(path, path.stat().st_mtime_ns)[:12]}"
