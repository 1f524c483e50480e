"""Lazily generated names of images: a list of a million names would take 100 MB."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import overload

import numpy as np


class LazyIds(Sequence[str], ABC):
    """Lazily generated names. They equal any sequence of the same names."""

    @abstractmethod
    def _at(self, index: int) -> str:
        """The name at ``index``; a negative index counts from the end."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(map(self._at, range(len(self))[index]))
        return self._at(index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class NumberedIds(LazyIds):
    """Numbers with at least five digits. ``numbers`` is an increasing array, or a count of numbers from 0.

    >>> ids = NumberedIds(1_000_000)
    >>> ids[7], ids[-1], ids[2:4]
    ('00007', '999999', ('00002', '00003'))
    >>> NumberedIds(2) == ("00000", "00001")
    True
    """

    def __init__(self, numbers: int | np.ndarray) -> None:
        self._numbers: range | np.ndarray = range(numbers) if isinstance(numbers, int) else numbers
        if not isinstance(numbers, int) and (np.diff(numbers) <= 0).any():
            raise ValueError("numbers of images must increase")

    def __len__(self) -> int:
        return len(self._numbers)

    def _at(self, index: int) -> str:
        return f"{self._numbers[index]:05d}"


class IdRange(LazyIds):
    """Names of a range of images, looked up in the names of their data set. A pickle holds the names themselves.

    >>> IdRange(NumberedIds(10), 8, 12)[:]
    ('00008', '00009')
    """

    def __init__(self, ids: Sequence[str], start: int, stop: int) -> None:
        self._ids, self._range = ids, range(start, min(stop, len(ids)))

    def __len__(self) -> int:
        return len(self._range)

    def _at(self, index: int) -> str:
        return self._ids[self._range[index]]

    def __reduce__(self) -> tuple[type[tuple[str, ...]], tuple[list[str]]]:
        return tuple, (list(self),)


def has_repeats(ids: Sequence[str]) -> bool:
    """Whether two images have the same name; numbers increase, and need no check."""
    return not isinstance(ids, NumberedIds) and len(set(ids)) < len(ids)
