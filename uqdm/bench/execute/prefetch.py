"""Reads ranges of images before they are asked for, in threads, and keeps a bounded part of them in Ray's object store.

Images are read where the evaluation was started, and reach the workers through the object store: no other machine of a
cluster needs the data set.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import ray

from uqdm.bench.datasets import Images
from uqdm.bench.run.shards import Shard
from uqdm.codec import check_images
from uqdm.text import error_line

Range = tuple[int, int]

KEPT_BYTES = 2**28
"""Images that are kept for the next setting, at most: 20,000 of 64x64. A larger data set is read again."""

_READINGS = 3
"""How often an image is read that gives an error: a file server may be away for a moment."""
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Unreadable:
    """Stands for an image that could not be read, with the reason."""

    reason: str


Loaded = np.ndarray | Unreadable
"""An image, uint8 [H, W, 3], or why there is none."""


def read_range(dataset: Images, start: int, stop: int) -> list[Loaded]:
    """Images ``start`` to ``stop`` of a data set; one that cannot be read costs none of the others."""
    return [_read(dataset, index) for index in range(start, stop)]


def _read(dataset: Images, index: int) -> Loaded:
    for reading in range(_READINGS):
        if reading:
            time.sleep(_PAUSE_SECONDS)
        try:
            image = dataset.load(index)
            check_images([image])
            return image
        except (OSError, ValueError) as error:
            reason = f"cannot be read: {error_line(error)}"
    return Unreadable(reason)


@dataclass
class _Held:
    """A range in the object store, or on its way there, and how many jobs use it."""

    n_images: int
    future: Future[tuple[ray.ObjectRef, int]]
    users: int = 0
    n_bytes: int | None = None
    """Once it has been read."""


class Reader:
    """Ranges of images as objects of Ray.

    Ranges in use take up ``budget_bytes`` at most, save that one is always allowed. Of ranges that were used, as much
    again is kept for the next setting that asks for them, and ``KEPT_BYTES`` at most.
    """

    def __init__(self, dataset: Images, budget_bytes: int, threads: int = 1) -> None:
        self._dataset = dataset
        self._budget_bytes = budget_bytes
        self._kept_bytes = min(budget_bytes, KEPT_BYTES)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._used: dict[Range, _Held] = {}
        self._idle: OrderedDict[Range, _Held] = OrderedDict()
        self._idle_bytes = 0
        self._read_bytes, self._read_images = 0, 0

    def close(self) -> None:
        """Lets everything go."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._used.clear()
        self._idle.clear()

    def hold(self, shard: Shard) -> bool:
        """Begins to read the images of a shard, if they are not here; False where there is no room for them now."""
        key = (shard.start, shard.stop)
        held = self._used.get(key)
        if held is None:
            held = self._idle.get(key)
            if self._used and self._bytes(held, len(shard.image_ids)) + self._bytes_in_use() > self._budget_bytes:
                return False
            if held is None:
                held = _Held(len(shard.image_ids), self._pool.submit(self._load, key))
            else:
                self._idle_bytes -= self._idle.pop(key).n_bytes or 0
            self._used[key] = held
        held.users += 1
        return True

    def is_ready(self, shard: Shard) -> bool:
        """Whether the images of a held shard have been read."""
        held = self._used[shard.start, shard.stop]
        if held.n_bytes is None and held.future.done():
            held.n_bytes = held.future.result()[1]
            self._read_bytes, self._read_images = self._read_bytes + held.n_bytes, self._read_images + held.n_images
        return held.n_bytes is not None

    def images(self, shard: Shard) -> ray.ObjectRef:
        """The images of a held shard, a list of :data:`Loaded`; waits for them if need be."""
        return self._used[shard.start, shard.stop].future.result()[0]

    def release(self, shard: Shard) -> None:
        """Says that a held shard is no longer needed by one of its users."""
        key = (shard.start, shard.stop)
        held = self._used[key]
        held.users -= 1
        if held.users:
            return
        del self._used[key]
        if held.n_bytes is not None:
            self._idle[key] = held
            self._idle_bytes += held.n_bytes
        while self._idle and self._idle_bytes > self._kept_bytes:
            _, oldest = self._idle.popitem(last=False)
            self._idle_bytes -= oldest.n_bytes or 0

    def _load(self, key: Range) -> tuple[ray.ObjectRef, int]:
        images = read_range(self._dataset, *key)
        return ray.put(images), sum(image.nbytes for image in images if isinstance(image, np.ndarray))

    def _bytes_in_use(self) -> float:
        return sum(self._bytes(held, held.n_images) for held in self._used.values())

    def _bytes(self, held: _Held | None, n_images: int) -> float:
        """Bytes of a range, guessed from the others as long as it has not been read."""
        if held is not None and held.n_bytes is not None:
            return held.n_bytes
        known = self._read_images
        return n_images * self._read_bytes / known if known else max(1, self._budget_bytes / 4)
