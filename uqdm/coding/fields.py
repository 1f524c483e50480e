"""Integer fields of a file's header and their ranges, for writers, readers and the check of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """An integer in a header, from ``least`` to ``most``; with ``power_of_two``, only powers of two.

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
        """Text of the allowed values."""
        if not self.power_of_two:
            return f"{self.least} to {self.most}"
        exponents = range(self.least.bit_length() - 1, self.most.bit_length())
        return ", ".join(str(1 << exponent) for exponent in exponents)

    def fault(self, value: int) -> str | None:
        """Description of why a value is not allowed; None if it is."""
        fits = self.least <= value <= self.most
        if fits and not (self.power_of_two and value & (value - 1)):
            return None
        return f"{self.name} {value} is out of range ({self.allowed})"


def faults_of(header: Any, fields: Iterable[Field]) -> Iterator[str]:
    """Descriptions of all values of a header that are not allowed; each field is an attribute of its name."""
    for field in fields:
        fault = field.fault(getattr(header, field.name))
        if fault is not None:
            yield fault
