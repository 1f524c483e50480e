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

from uqdm.bench.measure import describe
from uqdm.bench.shards import Images, Shard
from uqdm.codec import check_images

Range = tuple[int, int]

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
            reason = f"cannot be read: {describe(error)}"
    return Unreadable(reason)


@dataclass
class _Held:
    """A range in the object store, or on its way there: how many images and, once it is there, bytes."""

    future: Future[tuple[ray.ObjectRef, int]]
    users: int = 0

    @property
    def n_bytes(self) -> int | None:
        return self.future.result()[1] if self.future.done() and self.future.exception() is None else None


class Reader:
    """Ranges of images as objects of Ray.

    Ranges in use take up ``budget_bytes`` at most, save that one is always allowed; as much again is kept of ranges
    that were used, for the next setting that asks for them.
    """

    def __init__(self, dataset: Images, budget_bytes: int, threads: int = 1) -> None:
        self._dataset = dataset
        self._budget_bytes = budget_bytes
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._held: OrderedDict[Range, _Held] = OrderedDict()

    def close(self) -> None:
        """Lets everything go."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._held.clear()

    def hold(self, shard: Shard) -> bool:
        """Begins to read the images of a shard, if they are not here; False where there is no room for them now."""
        key = (shard.start, shard.stop)
        held = self._held.get(key)
        if held is None:
            if not self._has_room(len(shard.image_ids)):
                return False
            held = self._held[key] = _Held(self._pool.submit(self._load, key))
        elif held.users == 0 and not self._has_room(len(shard.image_ids), held.n_bytes):
            return False
        held.users += 1
        self._held.move_to_end(key)
        return True

    def is_ready(self, shard: Shard) -> bool:
        """Whether the images of a held shard have been read."""
        return self._held[shard.start, shard.stop].future.done()

    def images(self, shard: Shard) -> ray.ObjectRef:
        """The images of a held shard, a list of :data:`Loaded`; waits for them if need be."""
        return self._held[shard.start, shard.stop].future.result()[0]

    def release(self, shard: Shard) -> None:
        """Says that a held shard is no longer needed."""
        self._held[shard.start, shard.stop].users -= 1
        self._evict()

    def _load(self, key: Range) -> tuple[ray.ObjectRef, int]:
        images = read_range(self._dataset, *key)
        return ray.put(images), sum(image.nbytes for image in images if isinstance(image, np.ndarray))

    def _has_room(self, n_images: int, n_bytes: int | None = None) -> bool:
        used = [(key, held) for key, held in self._held.items() if held.users]
        if not used:
            return True
        taken = sum(self._bytes(key[1] - key[0], held.n_bytes) for key, held in used)
        return taken + self._bytes(n_images, n_bytes) <= self._budget_bytes

    def _bytes(self, n_images: int, known: int | None) -> float:
        """Bytes of a range, guessed from the others as long as it has not been read."""
        if known is not None:
            return known
        read = [(key[1] - key[0], held.n_bytes) for key, held in self._held.items() if held.n_bytes is not None]
        count = sum(images for images, _ in read)
        return n_images * sum(n_bytes or 0 for _, n_bytes in read) / count if count else self._budget_bytes / 4

    def _evict(self) -> None:
        idle = [(key, held) for key, held in self._held.items() if not held.users]
        kept = sum(held.n_bytes or 0 for _, held in idle)
        for key, held in idle:
            if kept <= self._budget_bytes:
                return
            kept -= held.n_bytes or 0
            del self._held[key]
