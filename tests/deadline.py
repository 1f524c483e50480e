"""A deadline for code that must not hang. It is far above the normal time, so it does not test speed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def no_hang(seconds: float = 60.0) -> Iterator[None]:
    """Raises TimeoutError in the main thread where the code inside takes longer."""

    def expire(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
