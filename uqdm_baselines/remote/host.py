"""A codec's host: a process in another environment that is started once and kept, within limits."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uqdm_baselines._process import CallFolder, ProgramError, Supervisor, make_request, new_folder, tail
from uqdm_baselines._supervisor import remove_folder
from uqdm_baselines.remote.frames import Channel, HostEndedError, HostError, HostLateError

_FOREVER_S = 1e9
_ENDING_S = 2.0  # between the end of a host's pipes and that of its processes
_MOST_FILE_BYTES = 1 << 40  # of files that it writes, for instance a cache of compiled kernels


class Host:
    """A running host. Calls are made one at a time; after a fault it is stopped, and every process below it is dead.

    The same holds when this process ends in any way, SIGKILL included (:mod:`uqdm_baselines._supervisor`).
    """

    def __init__(self, arguments: Sequence[str], variables: Mapping[str, str], memory_bytes: int):
        self.name = os.path.basename(arguments[0])
        self.owner = os.getpid()
        self._requests = 0
        folder = new_folder()
        request = make_request(arguments, folder, variables, _FOREVER_S, _MOST_FILE_BYTES)
        their_input, writing = os.pipe()
        reading, their_output = os.pipe()
        try:
            supervisor = Supervisor([their_input, their_output])
        finally:
            os.close(their_input)
            os.close(their_output)
        supervisor.send({**request, "channels": [their_input, their_output], "memory_bytes": memory_bytes})
        self._channel = Channel(writing, reading, supervisor.fileno())
        self._supervisor = supervisor
        self._close = weakref.finalize(self, _end, self._channel, supervisor, folder)

    def ask(
        self,
        call: str,
        fields: Mapping[str, Any],
        parts: Sequence[bytes | memoryview],
        timeout_s: float,
        length_of: Callable[[dict[str, Any]], int],
    ) -> tuple[dict[str, Any], bytes]:
        """Makes a call: head and body of the answer; the parameters are those of :meth:`Channel.ask`.

        Raises :class:`~uqdm_baselines._process.ProgramError` if the host failed; then it is stopped.
        """
        self._requests += 1
        head = {"id": self._requests, "call": call, **fields}
        try:
            return self._channel.ask(head, parts, timeout_s, length_of)
        except HostError as error:
            raise ProgramError(f"{self.name}: {self._reason(error, timeout_s)}") from error
        except BaseException:  # for instance Ctrl-C: the answer would be taken for that of the next call
            self.close()
            raise

    def is_alive(self) -> bool:
        """Whether calls can be made: it was not stopped, and belongs to this process."""
        return self._close.alive and self.owner == os.getpid() and self._supervisor.is_alive()

    def close(self) -> None:
        """Stops it; returns when all its processes are dead."""
        self._close()

    def _reason(self, error: HostError, timeout_s: float) -> str:
        """What went wrong, with the end of what the host printed; stops it."""
        outcome = self._supervisor.receive(_ENDING_S) if isinstance(error, HostEndedError) else None
        if outcome is None:
            self._supervisor.send({"stop": True})
            outcome = self._supervisor.receive() or {}
        self.close()
        printed = tail(outcome.get("printed", ""))
        if "no_start" in outcome:
            return f"does not start: {outcome['no_start']}"
        if "memory_bytes" in outcome:
            return f"was stopped, as its processes held {outcome['memory_bytes'] / 2**30:.1f} GiB: {printed}"
        if isinstance(error, HostLateError):
            return f"was stopped after {timeout_s:g} s: {printed}"
        status = outcome.get("status")
        if status is None or not isinstance(error, HostEndedError):
            return f"was stopped, as {error}: {printed}"
        return f"ended with {f'signal {-status}' if status < 0 else f'status {status}'}: {printed}"


def _end(channel: Channel, supervisor: Supervisor, folder: CallFolder) -> None:
    channel.close()
    supervisor.close()
    remove_folder(str(folder.path))
    os.close(folder.descriptor)
