"""The driver's side of :mod:`uqdm.bench.execute.ray_sentinel`: a process that cannot outlive its Ray ends in order."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
import ray._private.worker

OnLoss = Callable[[BaseException], None]

_LAST_WORDS_SECONDS = 5.0
_STOP_SECONDS = 5.0


class RayLostError(RuntimeError):
    """Ray died while it was needed. The message says which part of it, and that the same command goes on."""


@contextlib.contextmanager
def watching(on_loss: OnLoss | None = None, folder: Path | None = None) -> Iterator[Watch]:
    """Watches the Ray that is started or connected to while the block runs.

    ``folder`` is that of a session of our own, of which nothing is left when it is lost; None is a cluster of others.
    ``on_loss`` is told why just before this process ends, with a line on stderr and exit status 1.
    """
    command = [
        sys.executable,
        "-m",
        "uqdm.bench.execute.ray_sentinel",
        str(os.getpid()),
        *([str(folder)] if folder else []),
    ]
    sentinel = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # it outlives what ends this process
    )
    watch = Watch(sentinel, on_loss)
    with _without_words_of_ray():
        watch.start()
        try:
            yield watch
        finally:
            watch.over()


class Watch:
    """Tells the sentinel where the session stands, and waits for what it has to say."""

    def __init__(self, sentinel: subprocess.Popen[bytes], on_loss: OnLoss | None) -> None:
        self._sentinel, self._on_loss = sentinel, on_loss
        self._thread = threading.Thread(target=self._wait, name="ray-watch", daemon=True)

    def start(self) -> None:
        """Begins to wait."""
        self._thread.start()

    def connected(self) -> None:
        """The session of our own is up: from now on the death of its processes is the end."""
        self._say("up")

    def connected_to(self, address: str) -> None:
        """The session of others is up."""
        raylet = _raylet_of_this_node()
        if raylet is not None:
            self._say(f"watch raylet {raylet}")
        self._say(f"knock {address}")
        self._say("up")

    def closing(self) -> None:
        """The session ends: its processes may, too, but not for ever."""
        self._say("closing")

    def over(self) -> None:
        """The session has ended."""
        self._say("over")
        with contextlib.suppress(OSError):
            self._sentinel.stdin.close()  # type: ignore[union-attr]
        self._thread.join(_STOP_SECONDS)
        try:
            self._sentinel.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._sentinel.kill()
            self._sentinel.wait()
        self._sentinel.stdout.close()  # type: ignore[union-attr]

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # it was killed: then nobody watches
            self._sentinel.stdin.write(f"{line}\n".encode())  # type: ignore[union-attr]
            self._sentinel.stdin.flush()  # type: ignore[union-attr]

    def _wait(self) -> None:
        """Returns when the session is over, and ends the process when it is lost."""
        lost = self._sentinel.stdout.readline()  # type: ignore[union-attr]
        if not lost:
            return
        error = RayLostError(lost.decode().strip())
        # Who is told may wait for something that Ray will never give.
        teller = threading.Thread(target=self._tell, args=(error,), daemon=True)
        teller.start()
        teller.join(_LAST_WORDS_SECONDS)
        self._sentinel.stdout.read()  # type: ignore[union-attr]  # until it has cleaned up
        os._exit(1)

    def _tell(self, error: RayLostError) -> None:
        if self._on_loss is not None:
            with contextlib.suppress(Exception):
                self._on_loss(error)


def _raylet_of_this_node() -> int | None:
    """The process at the other end of this one's socket to its raylet; None where the system does not tell."""
    node: Any = ray._private.worker.global_worker.node
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(node.raylet_socket_name)
            peer = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", peer)[0])
    except (OSError, AttributeError):
        return None


@contextlib.contextmanager
def _without_words_of_ray() -> Iterator[None]:
    """Ray prints its raylet's log to standard output when that dies, whatever it was told of logs."""
    worker: Any = ray._private.worker
    before = getattr(worker, "print_to_stdstream", None)
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before
