"""Fields of a file's header: the whole numbers that each can hold, for writers, readers and the check of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """A whole number in a header, from ``least`` to ``most``; with ``power_of_two`` only those.

    >>> Field("tile_size", 1, 8, power_of_two=True).fault(6)
    'tile_size 6 is out of range (1, 2, 4, 8)'
    >>> Field("n_stages", 1, 16).fault(17)
    'n_stages 17 is out of range (1 to 16)'
    """

    name: str
    least: int
    most: int
    power_of_two: bool = False

    @property
    def allowed(self) -> str:
        """The values that it can hold, in words."""
        if not self.power_of_two:
            return f"{self.least} to {self.most}"
        exponents = range(self.least.bit_length() - 1, self.most.bit_length())
        return ", ".join(str(1 << exponent) for exponent in exponents)

    def fault(self, value: int) -> str | None:
        """Why the field cannot hold a value; None if it can."""
        fits = self.least <= value <= self.most
        if fits and not (self.power_of_two and value & (value - 1)):
            return None
        return f"{self.name} {value} is out of range ({self.allowed})"


def faults_of(header: Any, fields: Iterable[Field]) -> Iterator[str]:
    """What of a header its fields cannot hold; each field is an attribute of its name."""
    for field in fields:
        fault = field.fault(getattr(header, field.name))
        if fault is not None:
            yield fault
