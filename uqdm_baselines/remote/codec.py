"""Codec ``remote``: a codec in an environment of its own, by the command that starts its host."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.codec import (
    Codec,
    CodecUnavailableError,
    Encoded,
    Parameter,
    ParameterError,
    Point,
    Reconstruction,
    StreamError,
    check_images,
)
from uqdm.environments import canonical_text, environment
from uqdm_baselines._process import ProgramError
from uqdm_baselines.program import absolute_command, substitute
from uqdm_baselines.remote.answers import AnsweredError
from uqdm_baselines.remote.session import HOST_FILE, Limits, Session

_HOW = "see docs/remote-codecs.md"

PARAMETERS = (
    Parameter("command", str, "", "command that starts the host; {quality} is replaced", canonical=absolute_command),
    Parameter(
        "environment",
        str,
        "",
        "lock file (.txt), conda file (.yaml), or a command that enters the environment",
        canonical=canonical_text,
    ),
    Parameter("quality", str, "", "value of {quality} in the command", sweeps=True),
    Parameter("gpu", bool, False, "whether the host computes on a GPU where a worker has one"),
    Parameter("suffix", str, ".bin", "file name suffix of a stream"),
    Parameter("batch", int, 0, "images of a call; 0 for what the host asks for", minimum=0, maximum=4096),
    Parameter("start_s", float, 600.0, "limit of the start, seconds", minimum=0.1, maximum=86400),
    Parameter("timeout_s", float, 60.0, "limit of a call, seconds an image", minimum=0.01, maximum=86400),
    Parameter("output_mib", int, 512, "limit of a stream, MiB", minimum=1, maximum=65536),
    Parameter("memory_gib", float, 32.0, "limit of the host's resident memory, GiB", minimum=0.01, maximum=65536),
)


def make_session(name: str, values: Mapping[str, Any]) -> Session:
    """The session of these parameters; raises :class:`ParameterError` where they do not go together."""
    command, quality = values["command"], values["quality"]
    if quality and "{quality}" not in command:
        raise ParameterError(f"quality={quality!r}: the command has no {{quality}}, so nothing would use it")
    if "{quality}" in command and not quality:
        raise ParameterError(f"command={command!r}: it asks for {{quality}}; set quality too")
    try:
        words = substitute(shlex.split(command), {"quality": quality})
    except (ValueError, KeyError) as error:
        raise ParameterError(f"command={command!r}: {error}") from error
    if not words:
        raise CodecUnavailableError(f"codec {name!r} has no host; set command, {_HOW}")
    files = [Path(word) for word in words if os.path.isabs(word) and os.path.isfile(word)]
    limits = Limits(
        values["start_s"],
        values["timeout_s"],
        values["output_mib"] << 20,
        int(values["memory_gib"] * 2**30),
    )
    return Session(name, words, environment(values["environment"]), files, limits)


class Remote(Codec):
    """Speaks to a codec in another environment through its *host*, a process that is started once and kept.

    The host is a script that uses ``uqdm_codec_host.py``. It receives bytes and uint8 images, and returns them. If it
    crashes, hangs, exceeds a limit or answers nonsense, the images of that call fail, and the next call starts it anew.
    """

    name = "remote"
    summary = "a codec in an environment of its own, by a host that stays up (docs/remote-codecs.md)"
    parameters = PARAMETERS
    holds_model = True

    def __init__(self, **values: Any) -> None:
        if type(values.get("quality")) in (int, float):  # as YAML reads it
            values["quality"] = str(values["quality"])
        super().__init__(**values)
        self.suffix = self.values["suffix"]
        self.uses_gpu = self.values["gpu"]

    @functools.cached_property
    def session(self) -> Session:
        """The calls of the host."""
        return make_session(self.name, self.values)

    @property
    def version(self) -> str:
        """As the host tells it, with the environment and hashes of the files that the command names by path."""
        if self.session.hello.estimate != self.ideal:
            wanted = "remote-estimate" if self.session.hello.estimate else "remote"
            raise CodecUnavailableError(f"codec {self.name!r}: this host {_TELLS[wanted]}: use the codec {wanted!r}")
        return self.session.version

    @classmethod
    def version_of(cls, **values: Any) -> str:
        """See :meth:`uqdm.codec.Codec.version_of`; a host that it starts is stopped again."""
        codec = cls(**values)
        try:
            return codec.version
        finally:
            codec.session.close()

    @property
    def progressive(self) -> bool:
        """As the host tells it; False for one that cannot be asked."""
        try:
            return self.session.hello.progressive
        except CodecUnavailableError:
            return False

    @property
    def batch_size(self) -> int:  # type: ignore[override]  # only a running host knows it
        """By the parameter ``batch``, or what the host asks for."""
        return self.values["batch"] or self.session.running_hello.batch_size

    @property
    def device(self) -> str:
        """As the host tells it."""
        return self.session.running_hello.device

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Encodes images, uint8 [H, W, 3], in one call; raises :class:`ProgramError` if it fails."""
        return [found.stream for found in self.encode_detailed(images)]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """As :meth:`encode`, with the ideal bits that the host tells."""
        check_images(images)
        try:
            return self.session.encode(images)
        except AnsweredError as error:
            raise ProgramError(f"{self.name}: {error}") from error

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decodes streams in one call; raises StreamError if it fails."""
        try:
            return self.session.decode(streams)
        except (AnsweredError, ProgramError) as error:
            raise StreamError(f"{self.name}: {error}") from error

    def points(self, stream: bytes) -> list[Point]:
        """The points that the host tells."""
        try:
            return self.session.points(stream)
        except (AnsweredError, ProgramError) as error:
            raise StreamError(f"{self.name}: {error}") from error

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """Decodes the prefix of each point by itself."""
        for point in self.points(stream):
            (image,) = self.decode([stream[: point.n_bytes]])
            yield Reconstruction(point, point.reconstructions[0], image)

    @staticmethod
    def host_file() -> str:
        """The text of the host's side of the protocol, one file."""
        return HOST_FILE.read_text()


_TELLS = {"remote": "makes streams", "remote-estimate": "estimates rates and makes no files"}
