"""Messages between two processes: an object of JSON and byte strings. Nothing in them can run as code."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import IO, Any

_LENGTH = struct.Struct("<I")

Message = tuple[dict[str, Any], list[bytes]]
"""An object and the byte strings that belong to it."""


def send(channel: IO[bytes], content: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Writes a message; raises OSError if there is no reader."""
    head = json.dumps({"content": content, "lengths": [len(part) for part in parts]}).encode()
    channel.write(_LENGTH.pack(len(head)) + head)
    for part in parts:
        channel.write(part)
    channel.flush()


def receive(channel: IO[bytes]) -> Message:
    """Reads a message; raises EOFError if the other end is gone.

    >>> import io
    >>> channel = io.BytesIO()
    >>> send(channel, {"task": "decode"}, [b"one", b""])
    >>> _ = channel.seek(0)
    >>> receive(channel)
    ({'task': 'decode'}, [b'one', b''])
    """
    (n_bytes,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    head = json.loads(_exactly(channel, n_bytes))
    return head["content"], [_exactly(channel, length) for length in head["lengths"]]


def _exactly(channel: IO[bytes], count: int) -> bytes:
    data = channel.read(count)
    if len(data) < count:
        raise EOFError("the other process is gone")
    return data
