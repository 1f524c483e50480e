"""Runs a program in a folder, without a shell, within limits; none of its processes outlives the call.

The work is done by a separate process (:mod:`uqdm_baselines._supervisor`). It outlives this one for a moment when this
one is killed, and cleans up. It is started with the first call, and serves one call at a time.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uqdm.errors import UserError
from uqdm.text import one_line
from uqdm_baselines import _supervisor
from uqdm_baselines._supervisor import MOST_PRINTED, as_text, remove_folder

MOST_FILE_BYTES = 2**29
"""Default limit of the bytes of a file that a program writes (512 MiB)."""
FOLDER_PREFIX = "uqdm-program-call-"
"""Of the temporary folders of calls."""
_LOG_TAIL = 300  # characters of a program's output that its error contains
_ANSWER_S = 30.0  # time for the supervisor beyond the time limit, until it counts as lost


class ProgramError(UserError):
    """A program failed, took too long, or wrote no file. The message ends with its last output."""


# ---- folders --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CallFolder:
    """The temporary folder of a call: its path, and a descriptor that stays valid if the path changes."""

    path: Path
    descriptor: int

    def read(self, name: str, most_bytes: int = MOST_FILE_BYTES) -> bytes | None:
        """A regular file in the folder; None if there is none.

        Raises :class:`ProgramError` for anything else of that name (a link, a folder, a FIFO, a device), which is not
        opened for reading, and for a file that is too large.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            kind = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
            _check_regular(name, kind.st_mode)
            with os.fdopen(os.open(name, flags, dir_fd=self.descriptor), "rb") as file:
                kind = os.fstat(file.fileno())
                _check_regular(name, kind.st_mode)
                data = b"" if kind.st_size > most_bytes else file.read(most_bytes + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ProgramError(f"{name} cannot be read: {error.strerror}") from error
        if max(kind.st_size, len(data)) > most_bytes:
            raise ProgramError(f"{name} has {kind.st_size:,} bytes, and may have {most_bytes:,}")
        return data


def _check_regular(name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
        raise ProgramError(f"{name} is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a regular file")


@contextlib.contextmanager
def call_folder() -> Iterator[CallFolder]:
    """A temporary folder for one call, locked as long as this process lives, and removed at the end."""
    folder = new_folder()
    try:
        yield folder
    finally:
        remove_folder(str(folder.path))
        os.close(folder.descriptor)


def new_folder() -> CallFolder:
    """A temporary folder that is locked as long as this process lives; the caller removes it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a file system without locks: nothing is removed there either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(path):  # otherwise another process has just removed it as an abandoned one
            return CallFolder(path, descriptor)
        os.close(descriptor)


def sweep_folders() -> None:
    """Removes folders of calls that a killed process of this user left: those that no process locks.

    Processes that still work in them are killed.
    """
    parent = os.path.realpath(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(parent)):
            if entry.name.startswith(FOLDER_PREFIX) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _sweep(entry.path)


def _sweep(path: str) -> None:
    if os.lstat(path).st_uid != os.geteuid():
        return
    with contextlib.suppress(PermissionError):
        os.chmod(path, 0o700, follow_symlinks=os.chmod not in os.supports_follow_symlinks)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError where its owner lives
        _kill_those_in(path)
        remove_folder(path)
    finally:
        os.close(descriptor)


def _kill_those_in(path: str) -> None:
    """Kills processes that work in a folder without an owner: worker and supervisor were killed at once."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone by now, or another user's
            place = os.readlink(process / "cwd")
            if place == path or place.startswith(f"{path}/"):
                os.kill(int(process.name), signal.SIGKILL)


# ---- the supervisor -------------------------------------------------------------------------------------------


class Supervisor:
    """A running :mod:`uqdm_baselines._supervisor`; it belongs to the process that started it.

    It inherits ``channels``, descriptors for a program that is kept.
    """

    def __init__(self, channels: Sequence[int] = ()) -> None:
        self.owner = os.getpid()
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-B", _supervisor.__file__, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *channels],
                start_new_session=True,  # a Ctrl-C in the terminal is for this process
            )

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Runs a program; None if the supervisor is gone or does not answer."""
        return self.receive(request["timeout_s"] + _ANSWER_S) if self.send(request) else None

    def send(self, request: dict[str, Any]) -> bool:
        """Sends a request, or a message that stops it; False if the supervisor is gone."""
        try:
            _supervisor.send(self.fileno(), request)
        except OSError:
            return False
        return True

    def receive(self, wait_s: float = _ANSWER_S) -> dict[str, Any] | None:
        """The outcome of the request; None if the supervisor is gone or does not answer in time."""
        try:
            return _supervisor.receive(self.fileno(), time.monotonic() + wait_s)
        except (OSError, TimeoutError):
            return None

    def fileno(self) -> int:
        """Of its channel, which can be read when there is an outcome."""
        return self._socket.fileno()

    def is_alive(self) -> bool:
        """Whether it can take requests."""
        return self.owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """Ends it and the programs that it runs."""
        self._socket.close()
        if self.owner != os.getpid():
            return
        try:
            self._process.wait(_ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_idle: list[Supervisor] = []
_lock = threading.Lock()


def _take() -> Supervisor:
    with _lock:
        while _idle:
            supervisor = _idle.pop()
            if supervisor.is_alive():
                return supervisor
            supervisor.close()
    sweep_folders()
    return Supervisor()


@atexit.register
def _close_all() -> None:
    while _idle:
        _idle.pop().close()


# ---- calls ----------------------------------------------------------------------------------------------------


def run(arguments: Sequence[str], folder: CallFolder, timeout_s: float, file_bytes: int = MOST_FILE_BYTES) -> str:
    """As :func:`execute`, but returns the output; also raises :class:`ProgramError` for a status other than 0."""
    status, printed = execute(arguments, folder, timeout_s, file_bytes)
    if status:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise ProgramError(f"{arguments[0]} failed with {how}: {tail(printed)}")
    return printed


def execute(
    arguments: Sequence[str], folder: CallFolder, timeout_s: float, file_bytes: int = MOST_FILE_BYTES
) -> tuple[int, str]:
    """Runs a program in ``folder`` without a shell: its exit status, and the end of its output.

    stdin is empty; of stdout and stderr the last 64 KiB are kept. No file that the program writes gets longer than
    ``file_bytes``. When the call ends, in any way, every process that the program started is dead. Raises
    :class:`ProgramError` if it does not start, exceeds its time, prints over 256 MiB, or kills its parent.
    """
    name = arguments[0]
    answer = _answer(name, make_request(arguments, folder, os.environ, timeout_s, file_bytes))
    printed = answer.get("printed", "")
    if "no_start" in answer:
        raise ProgramError(f"{name} does not start: {answer['no_start']}")
    if "timed_out" in answer:
        raise ProgramError(f"{name} was stopped after {timeout_s:g} s: {tail(printed)}")
    if "flooded" in answer:
        raise ProgramError(f"{name} was stopped after it had printed {MOST_PRINTED >> 20} MiB: {tail(printed)}")
    if answer.get("left"):
        raise ProgramError(f"{name} left {answer['left']} process(es) that cannot be killed: {tail(printed)}")
    if "status" not in answer:
        raise ProgramError(f"{name} killed or stopped its supervisor")
    return answer["status"], printed


def make_request(
    arguments: Sequence[str],
    folder: CallFolder,
    environment: Mapping[str, str],
    timeout_s: float,
    file_bytes: int = MOST_FILE_BYTES,
) -> dict[str, Any]:
    """A supervisor's request to run a program; raises :class:`ProgramError` for text that no argument can hold."""
    name = arguments[0]
    try:
        texts = list(map(as_text, arguments))
    except UnicodeEncodeError as error:
        raise ProgramError(f"{name} does not start: {error}; set PYTHONUTF8=1") from error
    if any("\0" in argument for argument in arguments):
        raise ProgramError(f"{name} does not start: a zero byte in an argument")
    return {
        "arguments": texts,
        "folder": as_text(str(folder.path)),
        "timeout_s": timeout_s,
        "file_bytes": file_bytes,
        "environment": {as_text(key): as_text(value) for key, value in environment.items()},
    }


def _answer(name: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        supervisor = _take()
    except OSError as error:
        raise ProgramError(f"{name} does not start: its supervisor cannot be started ({error.strerror})") from error
    try:
        answer = supervisor.ask(request)
    except BaseException:  # for instance Ctrl-C: no program keeps running
        supervisor.close()
        raise
    if answer is None:
        supervisor.close()
        raise ProgramError(f"{name}: its supervisor was killed")
    with _lock:
        _idle.append(supervisor)
    return answer


def tail(printed: str) -> str:
    """The end of a program's output, on one line and printable."""
    return one_line(printed, _LOG_TAIL, end=True) or "it printed nothing"
