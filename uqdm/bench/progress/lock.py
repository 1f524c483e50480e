"""One writer at a time in a run's folder: an advisory lock that the kernel releases when its holder dies.

The lock prevents duplicate work. Results need no protection: files are named by a hash of their inputs, or derived from
such files, and each is replaced in one step. On a file system without locks, work therefore continues without one.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from uqdm.bench.run.layout import lock_path

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_RETRY_SECONDS = 0.3  # :func:`holder` takes the lock for an instant, which must not refuse a run
_POLL_SECONDS = 0.5


class FolderBusyError(BlockingIOError):
    """Another process works in this folder. The message says which, what it does, since when, and the remedy."""


class FolderError(OSError):
    """A folder cannot be made or written to. The message says which, why, and the remedy."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder; ``since`` is local time with offset, ISO 8601. Unknown parts are None."""

    host: str | None = None
    pid: int | None = None
    what: str | None = None
    since: str | None = None

    def __str__(self) -> str:
        place = f" on {self.host}" if self.host else ""
        doing = f" ({self.what})" if self.what else ""
        since = f", since {self.since.replace('T', ' ')}" if self.since else ""
        return f"process {self.pid or '?'}{place}{doing}{since}"


@contextlib.contextmanager
def locked(run_dir: Path, what: str, *, wait: bool = False, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Holds the lock of ``run_dir`` while the block runs; a folder that is absent is made.

    Args:
        run_dir: the folder.
        what: what the block does, shown to other processes: "evaluate demo".
        wait: wait until the folder is free.
        say: called with a line that names the holder while waiting, or says that the file system has no locks.

    Raises :class:`FolderBusyError` if another holds it and ``wait`` is False, and :class:`FolderError` if the folder
    cannot be made or written to.

    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder), "evaluate demo"):
    ...     print(holder(Path(folder)).what)
    evaluate demo
    """
    say = say or (lambda text: None)
    check_writable(run_dir)
    with _file(run_dir) as file:
        try:
            _acquire(run_dir, file, wait, say)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            say(f"{run_dir}: its file system has no locks ({error.strerror}); a second run there would repeat work")
        _write(file, Holder(socket.gethostname(), os.getpid(), what, _now()))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # a full disk, for example; the lock is released anyway
                os.ftruncate(file, 0)


def holder(run_dir: Path) -> Holder | None:
    """The process that holds the folder now; None if there is none.

    Raises OSError where that is unknown: no permission to read the lock, or a file system without locks.
    """
    try:
        file = os.open(lock_path(run_dir), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    finally:
        os.close(file)
    return None


def check_writable(folder: Path) -> None:
    """Makes ``folder``, and raises :class:`FolderError` if that fails or no file can be written in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _folder_error(folder, error) from error


def _folder_error(folder: Path, error: OSError) -> FolderError:
    reason = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "a file is in the way"
    return FolderError(f"{folder}: cannot write results there ({reason}); choose another folder, or make it writable")


@contextlib.contextmanager
def _file(run_dir: Path) -> Iterator[int]:
    try:
        # Close on exec: a daemon that this process starts must not keep the lock.
        file = os.open(lock_path(run_dir), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _folder_error(run_dir, error) from error
    try:
        yield file
    finally:
        os.close(file)


def _acquire(run_dir: Path, file: int, wait: bool, say: Callable[[str], None]) -> None:
    retry_until = time.monotonic() + _RETRY_SECONDS
    said = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() < retry_until:
                time.sleep(_RETRY_SECONDS / 10)
                continue
            other = _read(file)
        if not wait:
            raise FolderBusyError(_busy(run_dir, other))
        if not said:
            say(f"{run_dir}: waiting for {other}")
            said = True
        time.sleep(_POLL_SECONDS)


def _busy(run_dir: Path, other: Holder) -> str:
    end = f"end it (kill {other.pid}{'' if other.host == socket.gethostname() else f' on {other.host}'})"
    return f"{run_dir}: in use by {other}; wait for it with --wait, {end}, or choose another folder"


def _write(file: int, own: Holder) -> None:
    with contextlib.suppress(OSError):  # on a full disk the lock has no holder's name
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(asdict(own)).encode(), 0)


def _read(file: int) -> Holder:
    """The holder that the file names; parts that are absent or malformed are None."""
    try:
        found = json.loads(os.pread(file, 4096, 0))
    except (OSError, ValueError):
        return Holder()
    if not isinstance(found, dict):
        return Holder()
    text = {key: found[key] for key in ("host", "what", "since") if isinstance(found.get(key), str)}
    pid = found.get("pid")
    return Holder(pid=pid if isinstance(pid, int) else None, **text)


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
