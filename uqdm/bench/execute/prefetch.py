"""Reads inputs of jobs ahead, in threads, and keeps a bounded part of them in Ray's object store.

Inputs are read where the driver runs, and reach the workers through the object store: no other machine of a cluster
needs the data set.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import ray

KEPT_BYTES = 2**28
"""Most bytes of unused inputs that are kept for later jobs: 20,000 images of 64x64."""


class Item(Protocol):
    """An input of a job, such as an image."""

    @property
    def nbytes(self) -> int:
        """Its size in memory."""


Load = Callable[[range], Sequence[Item]]
"""Reads the items of a range of indices. It runs in a thread of the driver."""


@dataclass
class _Block:
    """The items of a range, in the object store or on their way there, and how many jobs use them."""

    n_items: int
    future: Future[tuple[ray.ObjectRef, int]]
    users: int = 0
    n_bytes: int | None = None
    """None until they have been read."""


class Prefetcher:
    """Ranges of items as objects of Ray.

    Ranges in use take up ``budget_bytes`` at most; the first is always allowed. Ranges that are no longer in use are
    kept up to the same size, and up to ``KEPT_BYTES``, for later jobs on the same items.
    """

    def __init__(self, load: Load, budget_bytes: int, threads: int = 1) -> None:
        self._load = load
        self._budget_bytes = budget_bytes
        self._kept_bytes = min(budget_bytes, KEPT_BYTES)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._used: dict[range, _Block] = {}
        self._idle: OrderedDict[range, _Block] = OrderedDict()
        self._idle_bytes = 0
        self._read_bytes = 0
        self._read_items = 0

    def close(self) -> None:
        """Cancels reads that have not begun, and releases everything."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._used.clear()
        self._idle.clear()

    def hold(self, indices: range) -> bool:
        """Begins to read a range for one more user, if it is not here; False where there is no room for it now."""
        block = self._used.get(indices)
        if block is None:
            block = self._idle.get(indices)
            if self._used and self._bytes(block, len(indices)) + self._bytes_in_use() > self._budget_bytes:
                return False
            if block is None:
                block = _Block(len(indices), self._pool.submit(self._put, indices))
            else:
                self._idle_bytes -= self._idle.pop(indices).n_bytes or 0
            self._used[indices] = block
        block.users += 1
        return True

    def is_ready(self, indices: range) -> bool:
        """Whether a held range has been read; raises what reading it raised."""
        block = self._used[indices]
        if block.n_bytes is None and block.future.done():
            block.n_bytes = block.future.result()[1]
            self._read_bytes += block.n_bytes
            self._read_items += block.n_items
        return block.n_bytes is not None

    def items(self, indices: range) -> ray.ObjectRef:
        """The items of a held range, a sequence as :data:`Load` returned it; waits until they are read."""
        return self._used[indices].future.result()[0]

    def release(self, indices: range) -> None:
        """Ends one user's hold of a range."""
        block = self._used[indices]
        block.users -= 1
        if block.users:
            return
        del self._used[indices]
        if block.n_bytes is not None:
            self._idle[indices] = block
            self._idle_bytes += block.n_bytes
        while self._idle and self._idle_bytes > self._kept_bytes:
            _, oldest = self._idle.popitem(last=False)
            self._idle_bytes -= oldest.n_bytes or 0

    def _put(self, indices: range) -> tuple[ray.ObjectRef, int]:
        items = self._load(indices)
        return ray.put(items), sum(item.nbytes for item in items)

    def _bytes_in_use(self) -> float:
        return sum(self._bytes(block, block.n_items) for block in self._used.values())

    def _bytes(self, block: _Block | None, n_items: int) -> float:
        """Bytes of a range, estimated from the others until it has been read."""
        if block is not None and block.n_bytes is not None:
            return block.n_bytes
        if not self._read_items:
            return max(1, self._budget_bytes / 4)
        return n_items * self._read_bytes / self._read_items
