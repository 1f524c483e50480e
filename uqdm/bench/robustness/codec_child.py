"""The child process that encodes and decodes: ``python -m uqdm.bench.robustness.codec_child``.

It reads requests from standard input and writes answers to standard output, as :mod:`uqdm.bench.robustness.messages`.
It may be killed at any time, and kills itself where a request takes far longer than allowed, in case that the process
which started it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from uqdm.bench import checked_calls
from uqdm.bench.robustness.cells import set_up_torch
from uqdm.bench.robustness.messages import Message, receive, send
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.codec import Codec, codec_class, get_codec
from uqdm.plugins import contained
from uqdm.text import error_line


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Makes the codec of the first message, then answers requests until the other end is closed."""
    setup, _ = receive(requests)
    try:
        codec = _make(setup)
        with contained():
            varying = sorted(codec.varying_reconstructions)
        version = checked_calls.version_of(codec)
        facts = {"varying": varying, "version": version, "holds_model": bool(type(codec).holds_model)}
    except Exception as error:
        send(answers, {"error": error_line(error)})
        return
    send(answers, facts)
    while True:
        try:
            request, parts = receive(requests)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, request["ends_after_s"])
        answer = _answered(codec, request, parts)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(answers, *answer)


def _make(setup: Mapping[str, Any]) -> Codec:
    with contained():
        if codec_class(setup["codec"]).holds_model:
            set_up_torch(setup["threads"], setup["onednn"])
        return get_codec(setup["codec"], **setup["parameters"])


def _answered(codec: Codec, request: Mapping[str, Any], parts: list[bytes]) -> Message:
    try:
        return _TASKS[request["task"]](codec, request, parts)
    except MemoryError:
        return {"out_of_memory": True}, []
    except Exception as error:
        return {"error": error_line(error)}, []


def _encode(codec: Codec, request: Mapping[str, Any], parts: list[bytes]) -> Message:
    (image_uint8,) = [np.frombuffer(part, np.uint8).reshape(request["shape"]) for part in parts]
    (encoded,), _ = checked_calls.encode(codec, [image_uint8])
    return {}, [encoded.stream]


def _points(codec: Codec, request: Mapping[str, Any], parts: list[bytes]) -> Message:
    return {"n_bytes": [point.n_bytes for point in checked_calls.points(codec, parts[0])]}, []


def _decode(codec: Codec, request: Mapping[str, Any], parts: list[bytes]) -> Message:
    pictures = checked_calls.decode(codec, parts)
    shapes = [list(picture.shape) for picture in pictures]
    sha256 = [picture_sha256(picture) for picture in pictures]
    pixels = [picture.tobytes() for picture in pictures] if request.get("pixels") else []
    return {"sha256": sha256, "shapes": shapes}, pixels


def _reconstructions(codec: Codec, request: Mapping[str, Any], parts: list[bytes]) -> Message:
    made = [picture for picture, _ in checked_calls.pictures(codec, parts[0])]
    names = [(picture.point.name, picture.name) for picture in made]
    shapes = [list(picture.image_uint8.shape) for picture in made]
    return {"names": names, "shapes": shapes}, [picture.image_uint8.tobytes() for picture in made]


_TASKS = {"encode": _encode, "points": _points, "decode": _decode, "reconstructions": _reconstructions}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as channel:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that output of a library does not mix with the answers
        serve(sys.stdin.buffer, channel)
