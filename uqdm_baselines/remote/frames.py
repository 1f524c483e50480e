"""The messages between the benchmark and a codec's host: a fixed start, a head in JSON and a body of bytes.

This is the benchmark's side, which trusts nothing: lengths are checked before memory is taken for them. The other side
is ``uqdm_codec_host.py``.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

PROTOCOL = 1
MAGIC = b"UQCH"
FRAME = struct.Struct("<4sHHIQ")
"""MAGIC, version of the protocol, 0, bytes of the head, bytes of the body."""
MOST_HEAD_BYTES = 1 << 24
_CHUNK = 1 << 20


class HostError(Exception):
    """The host sends what is no answer; the message is for the user."""


class HostEndedError(HostError):
    """The host ended, or closed one of its pipes."""


class HostLateError(HostError):
    """The host did not answer in time."""


class Channel:
    """Two pipes to a host. ``ended`` is a further descriptor that can be read when its process has ended."""

    def __init__(self, writing: int, reading: int, ended: int):
        self.writing, self.reading, self.ended = writing, reading, ended
        os.set_blocking(writing, False)
        os.set_blocking(reading, False)

    def ask(
        self,
        head: dict[str, Any],
        parts: Sequence[bytes | memoryview],
        timeout_s: float,
        length_of: Callable[[dict[str, Any]], int],
    ) -> tuple[dict[str, Any], bytes]:
        """Sends a request and returns the head and the body of its answer.

        ``length_of`` checks a head and returns the length of the body that belongs to it. Raises :class:`HostError`,
        which ``length_of`` may raise, too.
        """
        deadline = time.monotonic() + timeout_s
        data = json.dumps(head).encode()
        self._write(FRAME.pack(MAGIC, PROTOCOL, 0, len(data), sum(map(len, parts))) + data, deadline)
        for part in parts:
            self._write(part, deadline)
        answer, body_bytes = self._head(deadline)
        if answer.get("id") != head["id"]:
            raise HostError(f"it answered request {answer.get('id')!r:.40}, not {head['id']}")
        wanted = length_of(answer)
        if body_bytes != wanted:
            raise HostError(f"its answer has a body of {body_bytes:,} bytes, and tells of {wanted:,}")
        return answer, self._read(body_bytes, deadline)

    def close(self) -> None:
        """Hangs up."""
        os.close(self.writing)
        os.close(self.reading)

    def _head(self, deadline: float) -> tuple[dict[str, Any], int]:
        start = self._read(FRAME.size, deadline)
        magic, protocol, _, head_bytes, body_bytes = FRAME.unpack(start)
        if magic != MAGIC:
            raise HostError(f"it sent {start!r}, which is no message: does it print to stdout?")
        if protocol != PROTOCOL:
            raise HostError(f"it speaks version {protocol} of the protocol, not {PROTOCOL}: update uqdm_codec_host.py")
        if head_bytes > MOST_HEAD_BYTES:
            raise HostError(f"its message has a head of {head_bytes:,} bytes; {MOST_HEAD_BYTES:,} are allowed")
        try:
            head = json.loads(self._read(head_bytes, deadline))
        except (ValueError, RecursionError) as error:
            raise HostError("its message has a head that is not JSON") from error
        if not isinstance(head, dict):
            raise HostError("its message has a head that is not an object")
        return head, body_bytes

    def _write(self, data: bytes | memoryview, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self.writing, select.POLLOUT, deadline)
            try:
                view = view[os.write(self.writing, view[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise HostEndedError("it closed its input") from error

    def _read(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < count:
            self._wait(self.reading, select.POLLIN, deadline)
            try:
                part = os.read(self.reading, min(_CHUNK, count - len(data)))
            except BlockingIOError:
                continue
            if not part:
                raise HostEndedError("it closed its output")
            data += part
        return bytes(data)

    def _wait(self, channel: int, event: int, deadline: float) -> None:
        """Waits until a pipe is ready; what an ended process has written can still be read."""
        watched = select.poll()
        watched.register(channel, event)
        watched.register(self.ended, select.POLLIN)
        left_s = deadline - time.monotonic()
        found = dict(watched.poll(1e3 * left_s)) if left_s > 0 else {}
        if not found:
            raise HostLateError("it did not answer in time")
        if channel not in found:
            raise HostEndedError("it ended")
