"""``python -m uqdm.bench.execute.ray_sentinel DRIVER [FOLDER]``: watches the Ray of a driver from another process.

Ray's core ends the driver at once and without a message when its raylet dies, and after a minute when its GCS does. So
another process has to notice, print what died, and clean up. It reads commands from standard input, one a line, and
writes a line to standard output when something was lost; :mod:`uqdm.bench.execute.ray_watch` is the driver's side.

==========================  ============================================================================
``watch NAME PID``          a process that the driver needs; those of FOLDER are found without it
``connect HOST:PORT``       the GCS of another user's cluster, which has to accept connections
``up``                      the session has started
``closing``                 the session is about to end, and with it its processes
``leaving``                 the driver ends on request, and with it its processes
``over``                    the session has ended; without it, the driver has died
==========================  ============================================================================
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence

import psutil

START_SECONDS = 20.0
"""How long a start may take after one of its processes has died: Ray itself may try again."""
STOP_SECONDS = 30.0
"""How long the end of a session may take: Ray waits for a GCS that died meanwhile."""
SILENT_SECONDS = 40.0
"""How long a GCS may refuse connections; after 60 s Ray would end the driver."""
LAST_SECONDS = 10.0
"""How long the driver may take to end itself, once it has read what was lost."""

_POLL_SECONDS = 0.3
_CONNECT_SECONDS = 5.0
_KILL_SECONDS = 5.0
_ROLES = {"raylet": "its raylet, which runs the workers,", "gcs_server": "its GCS, which keeps track of the workers,"}


class Sentinel:
    """State of a session; ``folder`` is empty for a cluster of others, whose processes are not killed."""

    def __init__(self, driver: int, folder: str) -> None:
        self._driver, self._folder = psutil.Process(driver), folder
        self._watched: dict[str, psutil.Process] = {}
        self._files: dict[str, int] = {}
        self._text = b""
        self._up = False
        self._died = self._closing = 0.0
        self._address = ""
        self._answered = self._tried = time.monotonic()
        self.over = self.leaving = False

    def watch(self) -> str | None:
        """Returns what was lost; None where the session or the driver has ended in order."""
        while not self.over:
            with contextlib.suppress(psutil.Error):
                if not self._up and not self._closing:
                    self._find()
            readable, _, _ = select.select([0, *self._files.values()], [], [], _POLL_SECONDS)
            gone = 0 in readable and not self._listen()
            lost = self._lost(gone)
            if lost is not None or gone:
                return lost
        return None

    def _listen(self) -> bool:
        """Reads commands of the driver; False if it has died."""
        data = os.read(0, 4096)
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._take(line.decode().split())
        return bool(data) or self.over

    def _take(self, words: Sequence[str]) -> None:
        if words[0] == "watch":
            with contextlib.suppress(psutil.Error):
                self._add(words[1], psutil.Process(int(words[2])))
        elif words[0] == "connect":
            self._address, self._answered = words[1], time.monotonic()
        elif words[0] == "up":
            self._up = True
        elif words[0] == "closing":
            self._closing = time.monotonic()
        elif words[0] == "leaving":
            self.leaving = True
        else:
            self.over = True

    def _find(self) -> None:
        """Finds raylet and GCS among the driver's children; those of a second start replace the first."""
        for child in self._driver.children() if self._folder else ():
            with contextlib.suppress(psutil.Error):
                name = child.name()
                if name in _ROLES and self._watched.get(name) != child and self._folder in " ".join(child.cmdline()):
                    self._add(name, child)

    def _add(self, name: str, process: psutil.Process) -> None:
        self._watched[name] = process
        if name in self._files:
            os.close(self._files.pop(name))
        with contextlib.suppress(OSError, AttributeError):  # not on every system: then the process is polled
            self._files[name] = os.pidfd_open(process.pid)

    def _lost(self, gone: bool) -> str | None:
        now = time.monotonic()
        if self.leaving:
            return None
        if self._closing:
            late = now - self._closing > STOP_SECONDS
            return f"it did not stop within {STOP_SECONDS:.0f} s" if late else None
        dead = [name for name, process in self._watched.items() if not _is_alive(process)]
        if not dead:
            self._died = 0.0
            return self._silent(now)
        for name in dead:
            if name in self._files:
                os.close(self._files.pop(name))
        self._died = self._died or now
        if not self._up and not gone and now - self._died < START_SECONDS:
            return None
        return " and ".join(f"{_ROLES[name]} died (process {self._watched[name].pid})" for name in dead)

    def _silent(self, now: float) -> str | None:
        if not self._address or now - self._tried < _CONNECT_SECONDS:
            return None
        self._tried = now
        if _answers(self._address):
            self._answered = time.monotonic()
        silent = time.monotonic() - self._answered
        return f"its GCS at {self._address} has not answered for {silent:.0f} s" if silent > SILENT_SECONDS else None

    def clean_up(self) -> None:
        """Kills the remaining processes of a session that was started here, and removes its folder."""
        if not self._folder:
            return
        deadline = time.monotonic() + _KILL_SECONDS
        while (left := list(_processes_of(self._folder))) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(_POLL_SECONDS / 10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def end_driver(self) -> None:
        """Waits until the driver has ended, and kills it if it does not."""
        deadline = time.monotonic() + LAST_SECONDS
        while _is_alive(self._driver) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 10)
        if _is_alive(self._driver):
            self._driver.kill()


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _processes_of(folder: str) -> Iterator[psutil.Process]:
    """The processes of this user that have files open in ``folder`` or name it, and what they started."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.uids().real == os.getuid() and _belongs(process, folder):
                yield from process.children(recursive=True)
                yield process


def _belongs(process: psutil.Process, folder: str) -> bool:
    if process.name() in _ROLES or "python" in process.name():
        return folder in " ".join(process.cmdline()) and "uqdm.bench.execute.ray_sentinel" not in process.cmdline()
    return process.name().startswith("ray::") and any(file.path.startswith(folder) for file in process.open_files())


def main(arguments: Sequence[str]) -> None:
    """Watches until the session is over or lost; prints what was lost, and removes what remains of it."""
    sentinel = Sentinel(int(arguments[0]), arguments[1] if len(arguments) > 1 else "")
    lost = sentinel.watch()
    if lost is not None:
        text = (
            f"Ray ended while it was needed: {lost}; what is finished is kept, and the same command resumes from there"
        )
        _write(2, f"{_CURSOR if os.isatty(2) else ''}error: {text}\n")
        _write(1, f"{text}\n")
    if not sentinel.over:
        sentinel.clean_up()
    os.close(1)
    if lost is not None:
        sentinel.end_driver()


_CURSOR = "\x1b[?25h\r"  # shows the cursor, which a live display has hidden


def _write(file: int, text: str) -> None:
    with contextlib.suppress(OSError):  # the driver has closed the pipe
        os.write(file, text.encode(errors="replace"))


if __name__ == "__main__":
    main(sys.argv[1:])
