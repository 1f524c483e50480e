"""Runs programs for a process that may be killed at any time; no process of theirs outlives its call.

This file runs as a separate script (``python -I -S _supervisor.py SOCKET``), a process for each process that uses
the codec ``program``, and imports only the standard library. For each call it forks a *monitor*, which starts the
program and reads its output:

    user (a worker)  --socket-->  supervisor  --fork-->  monitor  --fork, exec-->  program and its children

A program may instead be kept: a request with ``channels``, two descriptors that are its stdin and its stdout. Then only
its stderr is read here, the call has no time limit, and a further message of the user stops it.

On Linux supervisor and monitor adopt orphans (PR_SET_CHILD_SUBREAPER), so that all processes that a program leaves, in
their own sessions or not, stay below them and are killed at the end of the call. Both watch the process above them: the
supervisor ends a call, and itself, when the user is gone; the monitor ends when the supervisor is gone. If a program
kills its parent, the monitor, the supervisor cleans up. Other systems have no such adoption: there the process group of
the program is killed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import resource
import select
import signal
import stat
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

KEPT_BYTES = 1 << 16
"""Bytes of a program's output that are kept, from its end."""
MOST_PRINTED = 1 << 28
"""Bytes that a program may print until it is stopped (256 MiB)."""
_LENGTH = struct.Struct("<I")
_CHUNK = 1 << 18
_GRACE_S = 5.0  # waiting time for killed processes, and for a late monitor
_LOOK_S = 1.0  # between two checks whether the process above still exists
_LOOK_AT_MEMORY_S = 0.2
_LONGEST_WAIT_S = 1e6  # poll takes a 32-bit number of milliseconds
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_IGNORED: tuple[str, ...] = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE")
_IGNORED += ("SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGVTALRM", "SIGPROF", "SIGXFSZ", "SIGXCPU", "SIGIO", "SIGPWR")
_IGNORED += ("SIGWINCH",)

_LINUX = sys.platform.startswith("linux")

Message = dict[str, Any]


# ---- messages: a length and JSON -------------------------------------------------------------------------------


def send(channel: int, message: Message) -> None:
    """Writes a message to a file descriptor; raises OSError if there is no reader."""
    data = json.dumps(message).encode()
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(channel, view) :]


def receive(channel: int, deadline: float | None = None) -> Message | None:
    """Reads a message; None if the other end is gone. Raises TimeoutError after ``deadline`` (monotonic)."""
    head = _read(channel, _LENGTH.size, deadline)
    if head is None:
        return None
    body = _read(channel, _LENGTH.unpack(head)[0], deadline)
    return None if body is None else json.loads(body)


def _read(channel: int, count: int, deadline: float | None) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        if deadline is not None and not ready([channel], deadline - time.monotonic()):
            raise TimeoutError
        part = os.read(channel, count - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


def as_text(argument: str) -> str:
    """An argument, path or variable in a message: a character for each byte, independent of the locales."""
    return os.fsencode(argument).decode("latin-1")


def _as_bytes(text: str) -> bytes:
    return text.encode("latin-1")


def ready(channels: Sequence[int], seconds: float) -> list[int]:
    """The file descriptors among ``channels`` that can be read, or have ended; waits for the first."""
    watched = select.poll()  # select takes no descriptor over 1023
    for channel in channels:
        watched.register(channel, select.POLLIN)
    return [channel for channel, _ in watched.poll(1e3 * min(max(0.0, seconds), _LONGEST_WAIT_S))]


# ---- system calls ----------------------------------------------------------------------------------------------


def _libc_prctl() -> Any:
    """The system call by that name; None if there is none."""
    if not _LINUX:
        return None
    try:
        import ctypes

        return ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):
        return None


class Prctl:
    """Settings of a process that Linux has; without effect elsewhere."""

    def __init__(self) -> None:
        self._call = _libc_prctl()

    def adopt_orphans(self) -> None:
        """Makes this process adopt its descendants that lose their parent."""
        if self._call is not None:
            self._call(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def die_with(self, parent: int) -> None:
        """Lets this process be killed when its parent dies; ends it at once if the parent is dead already."""
        if self._call is not None:
            self._call(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)


# ---- killing ---------------------------------------------------------------------------------------------------


def kill_below(group: int | None = None) -> int:
    """Kills every process below this one, and a process group; returns how many survive.

    Returns when they are dead and reaped, or after some seconds: processes of another user cannot be killed.
    """
    deadline = time.monotonic() + _GRACE_S
    if group is not None and not _LINUX:  # orphans are not adopted here
        _kill(-group)
    while _reap():
        below = _below(os.getpid())
        for process in [*below, *([-group] if group is not None else [])]:
            _kill(process)
        if time.monotonic() > deadline:
            return max(1, len(below))
        time.sleep(0.001)
    return 0


def _kill(process: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(process, signal.SIGKILL)


def _reap() -> bool:
    """Reaps children that have died; returns whether others exist."""
    while True:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not process:
            return True


def _below(root: int) -> list[int]:
    """Descendants of a process according to /proc; none without /proc."""
    children: dict[int, list[int]] = {}
    for process, parent in _parents():
        children.setdefault(parent, []).append(process)
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                yield int(name), int(fields[1])


# ---- folders ---------------------------------------------------------------------------------------------------


def remove_folder(path: str) -> bool:
    """Removes a folder and its contents, of any depth and with any permissions; follows no link.

    True if it is gone.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return True
        os.chmod(path, 0o700)
        for _ in range(100_000):
            folders = [name for name in os.listdir(path) if not _unlinked(os.path.join(path, name))]
            if not folders:
                break
            for name in folders:
                _flatten(path, name)
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _unlinked(path: str) -> bool:
    """Removes an entry that is not a folder."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        return False
    os.unlink(path)
    return True


_n_moved = 0


def _flatten(path: str, name: str) -> None:
    """Removes a folder in ``path``; folders inside it move up, so that no path grows too long."""
    global _n_moved
    folder = os.path.join(path, name)
    os.chmod(folder, 0o700)
    for inner in os.listdir(folder):
        if not _unlinked(os.path.join(folder, inner)):
            _n_moved += 1
            os.chmod(os.path.join(folder, inner), 0o700)
            os.rename(os.path.join(folder, inner), os.path.join(path, f"moved-{os.getpid()}-{_n_moved}"))
    os.rmdir(folder)


# ---- the monitor of one call -----------------------------------------------------------------------------------


class Printed:
    """The end of a program's output, and its total length."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.count = 0

    def take(self, pipe: int) -> bool:
        """Reads available data without waiting; False at the end."""
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return True
        self.count += len(data)
        self._kept += data[-KEPT_BYTES:]
        del self._kept[:-KEPT_BYTES]
        return bool(data)

    def text(self) -> str:
        """The kept output."""
        return self._kept.decode(errors="replace")


def monitor(request: Message, prctl: Prctl, above: int, result: int) -> None:
    """Runs the program of a request, kills remaining processes, and writes the outcome to ``result``.

    ``above`` is a pipe that ends when the supervisor is gone or cancels the call.
    """
    os.setsid()
    prctl.adopt_orphans()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    printed = Printed()
    try:
        program, pipe = _start(request, prctl)
    except OSError as error:
        kill_below()
        send(result, {"no_start": error.strerror or str(error)})
        return
    finally:
        close_channels(request)
    limits = Limits(request)
    try:
        outcome = _watch(program, pipe, above, ended, printed, limits)
    finally:
        left = kill_below(program)
    _drain(pipe, printed)
    if outcome.get("abandoned"):
        remove_folder(os.fsdecode(_as_bytes(request["folder"])))
    with contextlib.suppress(OSError):  # the reader is gone
        send(result, {**outcome, "left": left, "printed": printed.text()})


def _start(request: Message, prctl: Prctl) -> tuple[int, int]:
    """Starts the program: its process id, and the pipe that it prints to. Raises OSError if it does not start."""
    pipe, printing = os.pipe()
    os.set_blocking(pipe, False)
    failure, failing = os.pipe()
    monitor_id = os.getpid()
    program = os.fork()
    if program == 0:
        try:
            _become(request, prctl, monitor_id, printing)
        except BaseException as error:
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
            os.write(failing, struct.pack("<i", number))
        finally:
            os._exit(127)
    os.close(printing)
    os.close(failing)
    data = os.read(failure, 4)  # empty once it has become the program
    os.close(failure)
    if data:
        number = struct.unpack("<i", data)[0]
        raise OSError(number, os.strerror(number))
    return program, pipe


def _become(request: Message, prctl: Prctl, monitor_id: int, printing: int) -> None:
    """Turns a fork of the monitor into the program."""
    os.setsid()
    prctl.die_with(monitor_id)
    reading, writing = request.get("channels") or (os.open(os.devnull, os.O_RDONLY), printing)
    for target, source in enumerate((reading, writing, printing)):
        os.dup2(source, target)
    for channel in request.get("channels", ()):
        os.set_inheritable(channel, False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_files(request["file_bytes"])
    signal.set_wakeup_fd(-1)
    for name in ("SIGCHLD", *_IGNORED):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.chdir(_as_bytes(request["folder"]))
    arguments = list(map(_as_bytes, request["arguments"]))
    os.execvpe(
        arguments[0], arguments, {_as_bytes(key): _as_bytes(text) for key, text in request["environment"].items()}
    )


def close_channels(request: Message) -> None:
    """Closes the descriptors of a kept program, where they are not the program's: so its end can be noticed."""
    for channel in request.get("channels", ()):
        os.close(channel)


def _limit_files(n_bytes: int) -> None:
    """Limits the length of files that the program writes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


class Limits:
    """Of a call: when it ends at the latest, bytes that it may print, and resident bytes of all its processes.

    What a kept program prints has no limit: only the end of it is held.
    """

    def __init__(self, request: Message):
        self._deadline = time.monotonic() + request["timeout_s"]
        self._most_printed = math.inf if request.get("channels") else MOST_PRINTED
        self._memory_bytes = request.get("memory_bytes") or math.inf
        self._look_s = _LOOK_S if math.isinf(self._memory_bytes) else _LOOK_AT_MEMORY_S
        self._next_look = 0.0

    @property
    def wait_s(self) -> float:
        """Time until the next look at what has no event."""
        return max(0.0, min(self._deadline - time.monotonic(), self._look_s))

    def exceeded(self, printed: Printed) -> Message | None:
        """The outcome of a call that is over a limit."""
        now = time.monotonic()
        if now >= self._deadline:
            return {"timed_out": True}
        if printed.count > self._most_printed:
            return {"flooded": True}
        if not math.isinf(self._memory_bytes) and now >= self._next_look:
            self._next_look = now + self._look_s
            resident = resident_bytes(_below(os.getpid()))
            if resident > self._memory_bytes:
                return {"memory_bytes": resident}
        return None


def resident_bytes(processes: Sequence[int]) -> int:
    """Resident memory of processes, memory that they share counted for each; 0 without /proc."""
    total = 0
    for process in processes:
        with (
            contextlib.suppress(OSError, IndexError, ValueError),  # gone by now
            open(f"/proc/{process}/statm", "rb") as file,
        ):
            total += int(file.read().split()[1]) * resource.getpagesize()
    return total


def _watch(program: int, pipe: int, above: int, ended: int, printed: Printed, limits: Limits) -> Message:
    """Reads the program's output until it ends, exceeds a limit, or the call is cancelled."""
    watched = select.poll()
    for channel in (pipe, above, ended):
        watched.register(channel, select.POLLIN)
    supervisor = os.getppid()
    while True:
        found = dict(watched.poll(1e3 * limits.wait_s))
        if above in found or os.getppid() != supervisor:
            return {"abandoned": True}
        if pipe in found and not printed.take(pipe):
            watched.unregister(pipe)
        outcome = limits.exceeded(printed)
        if outcome is not None:
            return outcome
        if ended in found:
            os.read(ended, 4096)
            status = _status_of(program)
            if status is not None:
                return {"status": status}


def _status_of(program: int) -> int | None:
    """The exit status of the program if it has ended (negative: the signal); also reaps orphans that have ended."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == program:
                found = os.waitstatus_to_exitcode(status)
            if not process:
                break
    return found


def _drain(pipe: int, printed: Printed) -> None:
    """Reads the output that ended processes left in the pipe."""
    for _ in range(64):  # at most the size of a pipe, in case a writer survives
        before = printed.count
        if not printed.take(pipe) or printed.count == before:
            return


# ---- the supervisor --------------------------------------------------------------------------------------------


def serve(channel: int) -> None:
    """Serves the requests of the process at the other end in sequence, until it is gone."""
    for name in _IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    prctl = Prctl()
    prctl.adopt_orphans()
    user = os.getppid()
    while True:
        while not ready([channel], 5 * _LOOK_S):
            if os.getppid() != user:
                return
        request = receive(channel)
        if request is None:
            return
        if "stop" in request:  # of a call that has ended by itself
            continue
        answer = _call(request, prctl, channel, user)
        if answer is None:
            remove_folder(os.fsdecode(_as_bytes(request["folder"])))
            return
        send(channel, answer)


def _call(request: Message, prctl: Prctl, channel: int, user: int) -> Message | None:
    """The outcome of a request; None if the user is gone."""
    above, hold = os.pipe()
    reading, result = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            for other in (hold, reading):
                os.close(other)
            # It keeps the channel open: the user waits until all processes of the call are gone.
            monitor(request, prctl, above, result)
        finally:
            os._exit(0)
    os.close(above)
    os.close(result)
    close_channels(request)
    try:
        answer = _await(reading, channel, user, time.monotonic() + request["timeout_s"] + 2 * _GRACE_S)
    finally:
        os.close(hold)
    if answer is not None and "stop" in answer:  # the end of its pipe tells the monitor
        answer = _await(reading, channel, user, time.monotonic() + 2 * _GRACE_S)
    if answer is None:  # the user is gone: the end of its pipe tells the monitor
        with contextlib.suppress(TimeoutError):
            receive(reading, time.monotonic() + 2 * _GRACE_S)
    os.close(reading)
    if answer is not None and "monitor_lost" not in answer:
        os.waitpid(process, 0)  # it is about to exit
    left = kill_below()
    if answer is not None:
        answer["left"] = max(left, answer.get("left", 0))
    return answer


def _await(reading: int, channel: int, user: int, deadline: float) -> Message | None:
    """The monitor's answer; None if the user is gone. A monitor that was killed or stopped is replaced.

    Where the user stops the call it is ``stop``.
    """
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return {"monitor_lost": True}
        found = ready([reading, channel], min(left_s, _LOOK_S))
        if os.getppid() != user:
            return None
        if channel in found:  # one request at a time, so a further message stops it
            return None if receive(channel) is None else {"stop": True}
        if reading in found:
            try:
                return receive(reading, deadline) or {"monitor_lost": True}
            except TimeoutError:
                return {"monitor_lost": True}


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[1]), False)
    with contextlib.suppress(OSError):  # the user is gone
        serve(int(sys.argv[1]))
    kill_below()
