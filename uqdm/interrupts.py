"""Ctrl-C and the signals that ask a process to end, as one exception that is raised where it does no harm.

The command line turns them on by :func:`interrupts_raised`. A signal then raises :class:`Interrupted` in the main
thread: at once; or at the next :func:`raise_if_interrupted` inside of :func:`interrupts_held`, which protects work that
must not stop in the middle. Inside of :func:`leaving_at_once` the process ends at once, since code of others that is
interrupted while it starts or runs threads of its own may crash. A second signal ends the process in any case.

Where they are not turned on (in a notebook), nothing here has an effect.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 2.0
"""A signal within this time of the first is the same one: a terminal and Snakemake may both send it."""


class Interrupted(SystemExit):
    """A signal asked the process to end; ``code`` is the exit status, 128 plus the number of the signal.

    ``kept`` says what is kept of the work, and how to continue.

    >>> error = Interrupted(signal.SIGINT)
    >>> str(error), error.code
    ('Ctrl-C', 130)
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number
        self.kept = "run the same command again"

    def __str__(self) -> str:
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name

    def line(self) -> str:
        """The line that the user sees.

        >>> Interrupted(signal.SIGTERM).line()
        'stopped by SIGTERM: run the same command again'
        """
        return f"stopped by {self}: {self.kept}"


_CURSOR = "\x1b[?25h\n"
"""Shows the cursor, which a live display has hidden, and leaves the line of that display."""


class _State:
    """What this process knows of signals."""

    raised = False
    held = 0
    at_once = 0
    first: Interrupted | None = None
    since = 0.0


_state = _State()
_leave_calls: list[Callable[[Interrupted], None]] = []


def noted() -> Interrupted | None:
    """The first signal so far; None if there was none.

    Libraries may replace the exception by another one; a handler of any exception can ask here for the reason.
    """
    return _state.first


@contextlib.contextmanager
def interrupts_raised() -> Iterator[None]:
    """While the block runs, signals are treated as this module says; those that are ignored stay ignored."""
    if threading.current_thread() is not threading.main_thread() or _state.raised:
        yield
        return
    before = {one: signal.getsignal(one) for one in SIGNALS}
    _state.raised = True
    renew()
    try:
        yield
    finally:
        _state.raised, _state.first = False, None
        for one, handler in before.items():
            if handler is not None:
                signal.signal(one, handler)


def renew() -> None:
    """Sets the handlers again, after a library has set its own."""
    if _state.raised and threading.current_thread() is threading.main_thread():
        for one in SIGNALS:
            if signal.getsignal(one) is not signal.SIG_IGN:
                signal.signal(one, _handle)


def are_raised() -> bool:
    """Whether signals are treated as this module says."""
    return _state.raised


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """While the block runs, signals are only noted; the first is raised at its end, unless it ends by an error."""
    _state.held += 1
    try:
        yield
    finally:
        _state.held -= 1
    raise_if_interrupted()


def raise_if_interrupted() -> None:
    """Raises the signal that was noted, if there was one."""
    if _state.first is not None:
        raise _state.first


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """While the block runs, a signal ends the process at once, after the calls of :func:`before_leaving`."""
    raise_if_interrupted()
    _state.at_once += 1
    try:
        yield
    finally:
        _state.at_once -= 1


@contextlib.contextmanager
def before_leaving(call: Callable[[Interrupted], None]) -> Iterator[None]:
    """While the block runs, ``call`` is called just before a signal ends the process without an exception."""
    _leave_calls.append(call)
    try:
        yield
    finally:
        _leave_calls.remove(call)


def _handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _state.first is not None:
        if now - _state.since >= AGAIN_SECONDS:
            _leave(_state.first)
        return
    _state.first, _state.since = Interrupted(number), now
    if _state.at_once:
        _leave(_state.first)
    if not _state.held:
        raise _state.first


def _leave(error: Interrupted) -> None:
    """Ends the process without clean-up by Python or by libraries."""
    for call in reversed(_leave_calls):
        with contextlib.suppress(Exception):
            call(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(2, f"{_CURSOR if os.isatty(2) else ''}{error.line()}\n".encode())
    os._exit(128 + error.number)
