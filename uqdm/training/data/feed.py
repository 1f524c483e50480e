"""Batches in order, drawn from one random stream; a thread can prepare them in advance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Feed(Generic[T]):
    """Calls ``draw(rng, number)`` for successive numbers; a thread keeps ``ahead`` results ready.

    ``state`` is the random state from which the next batch is drawn, however many are prepared already.

    >>> feed = Feed(lambda rng, number: int(rng.integers(100)), np.random.default_rng(0), ahead=2)
    >>> first, state, second = feed.next(), feed.state, feed.next()
    >>> rng = np.random.default_rng()
    >>> rng.bit_generator.state = state
    >>> second == int(rng.integers(100))
    True
    """

    def __init__(
        self, draw: Callable[[np.random.Generator, int], T], rng: np.random.Generator, number: int = 0, ahead: int = 0
    ):
        self._draw, self._rng, self._number, self._ahead = draw, rng, number, ahead
        self._pool = ThreadPoolExecutor(1) if ahead else None  # one thread: the draws keep their order
        self._waiting: deque[Future[tuple[dict[str, Any], T]]] = deque()

    def next(self) -> T:
        """The next batch."""
        if self._pool is None:
            return self._drawn()
        self._fill(self._ahead + 1)
        return self._waiting.popleft().result()[1]

    @property
    def state(self) -> dict[str, Any]:
        """State of the generator before the next batch, as its ``bit_generator.state``."""
        if self._pool is None:
            return self._rng.bit_generator.state  # type: ignore[return-value]
        self._fill(1)
        return self._waiting[0].result()[0]

    def _fill(self, n: int) -> None:
        assert self._pool is not None
        while len(self._waiting) < n:
            self._waiting.append(self._pool.submit(self._stated))

    def _stated(self) -> tuple[dict[str, Any], T]:
        return self._rng.bit_generator.state, self._drawn()  # type: ignore[return-value]

    def _drawn(self) -> T:
        self._number += 1
        return self._draw(self._rng, self._number - 1)

    def close(self) -> None:
        """Ends the thread, if there is one."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
