"""The driver's side of :mod:`uqdm.bench.execute.ray_sentinel`: the driver ends with a message when its Ray dies."""

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

from uqdm.errors import UserError

OnLoss = Callable[[BaseException], None]

_CALLBACK_SECONDS = 5.0
_STOP_SECONDS = 5.0


class RayLostError(UserError):
    """Ray died while it was needed. The message says which part of it, and that the same command resumes."""


@contextlib.contextmanager
def watching(on_loss: OnLoss | None = None, folder: Path | None = None) -> Iterator[Watch]:
    """Watches the Ray that is started or connected to while the block runs.

    ``folder`` is that of a session that is started here, and is removed when the session is lost; None for a cluster
    of others. ``on_loss`` is called with the reason just before this process ends, with a line on stderr and exit
    status 1.
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
        start_new_session=True,  # signals to this process do not reach it
    )
    watch = Watch(sentinel, on_loss)
    with _without_output_of_ray():
        watch.start()
        try:
            yield watch
        finally:
            watch.over()


class Watch:
    """Sends the state of the session to the sentinel, and waits for its message."""

    def __init__(self, sentinel: subprocess.Popen[bytes], on_loss: OnLoss | None) -> None:
        self._sentinel, self._on_loss = sentinel, on_loss
        self._thread = threading.Thread(target=self._wait, name="ray-watch", daemon=True)

    def start(self) -> None:
        """Starts the thread that waits."""
        self._thread.start()

    def connected(self) -> None:
        """The session that was started here is up: from now on, the death of one of its processes ends it."""
        self._say("up")

    def connected_to(self, address: str) -> None:
        """The session on a cluster of others is up."""
        raylet = _raylet_of_this_node()
        if raylet is not None:
            self._say(f"watch raylet {raylet}")
        self._say(f"connect {address}")
        self._say("up")

    def closing(self) -> None:
        """The session is about to end; its processes have limited time to end."""
        self._say("closing")

    def leaving(self) -> None:
        """This process is about to end, on request, and leaves its session to the sentinel."""
        self._say("leaving")

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
        with contextlib.suppress(OSError):  # the sentinel was killed
            self._sentinel.stdin.write(f"{line}\n".encode())  # type: ignore[union-attr]
            self._sentinel.stdin.flush()  # type: ignore[union-attr]

    def _wait(self) -> None:
        """Returns when the session is over, and ends this process when the session is lost."""
        lost = self._sentinel.stdout.readline()  # type: ignore[union-attr]
        if not lost:
            return
        error = RayLostError(lost.decode().strip())
        # The callback may wait for a result of Ray that never comes.
        caller = threading.Thread(target=self._call_back, args=(error,), daemon=True)
        caller.start()
        caller.join(_CALLBACK_SECONDS)
        self._sentinel.stdout.read()  # type: ignore[union-attr]  # until it has cleaned up
        os._exit(1)

    def _call_back(self, error: RayLostError) -> None:
        if self._on_loss is not None:
            with contextlib.suppress(Exception):
                self._on_loss(error)


def _raylet_of_this_node() -> int | None:
    """The process at the other end of this one's socket to its raylet; None where the system does not know it."""
    node: Any = ray._private.worker.global_worker.node
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(node.raylet_socket_name)
            peer = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", peer)[0])
    except (OSError, AttributeError):
        return None


@contextlib.contextmanager
def _without_output_of_ray() -> Iterator[None]:
    """Ray prints its raylet's log to standard output when that dies, even with ``log_to_driver=False``."""
    worker: Any = ray._private.worker
    before = getattr(worker, "print_to_stdstream", None)
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before
