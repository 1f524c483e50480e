"""Names of images that are their numbers: made when they are looked at, since a million of them take 100 MB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np


class NumberedIds(Sequence[str]):
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

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(map(_name, self._numbers[index]))
        return _name(self._numbers[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def _name(number: Any) -> str:
    return f"{number:05d}"


def has_repeats(ids: Sequence[str]) -> bool:
    """Whether two images have one name; numbers rise, and need no look."""
    return not isinstance(ids, NumberedIds) and len(set(ids)) < len(ids)
