"""Keeps the pictures that were decoded last, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import numpy as np

Key = TypeVar("Key")
Name = TypeVar("Name")
Other = TypeVar("Other")

MOST_BYTES = 2**29
"""512 MiB: all pictures of a photograph of 768 x 512 at 400 settings and points."""


class PictureCache(Generic[Key, Name, Other]):
    """Groups of pictures, such as those of a stream; the group that was used longest ago is dropped first.

    Anything else than a picture in a group counts as no bytes.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._groups: OrderedDict[Key, Mapping[Name, np.ndarray | Other]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Key, make: Callable[[], Mapping[Name, np.ndarray | Other]]) -> Mapping[Name, np.ndarray | Other]:
        """The group of a key, made if it is not there.

        >>> cache = PictureCache(most_bytes=10)
        >>> for key in ("a", "b", "a"):
        ...     _ = cache.get(key, lambda: print("made") or {"full": np.zeros(8, np.uint8)})
        made
        made
        made
        """
        if key not in self._groups:
            self._groups[key] = make()
            self._bytes += _n_bytes(self._groups[key])
        self._groups.move_to_end(key)
        while self._bytes > self._most and len(self._groups) > 1:
            _, dropped = self._groups.popitem(last=False)
            self._bytes -= _n_bytes(dropped)
        return self._groups[key]


def _n_bytes(group: Mapping[Name, np.ndarray | Other]) -> int:
    return sum(one.nbytes for one in group.values() if isinstance(one, np.ndarray))
