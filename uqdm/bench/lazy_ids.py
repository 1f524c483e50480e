"""Names of images that are made when they are looked at, since a million of them take 100 MB."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import overload

import numpy as np


class MadeIds(Sequence[str], ABC):
    """Names that are made when they are looked at. They equal any sequence of the same names."""

    @abstractmethod
    def _at(self, index: int) -> str:
        """The name at ``index``, which may count from the end."""

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


class NumberedIds(MadeIds):
    """Numbers as five digits or more. ``numbers`` are rising, or simply how many, from 0.

    >>> ids = NumberedIds(1_000_000)
    >>> ids[7], ids[-1], ids[2:4]
    ('00007', '999999', ('00002', '00003'))
    >>> NumberedIds(2) == ("00000", "00001")
    True
    """

    def __init__(self, numbers: int | np.ndarray) -> None:
        self._numbers: range | np.ndarray = range(numbers) if isinstance(numbers, int) else numbers
        if not isinstance(numbers, int) and (np.diff(numbers) <= 0).any():
            raise ValueError("numbers of images must rise")

    def __len__(self) -> int:
        return len(self._numbers)

    def _at(self, index: int) -> str:
        return f"{self._numbers[index]:05d}"


class IdRange(MadeIds):
    """Names of a range of images, looked up in those of their data set; what is sent to a worker are the names.

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
    """Whether two images have one name; numbers rise, and need no look."""
    return not isinstance(ids, NumberedIds) and len(set(ids)) < len(ids)
