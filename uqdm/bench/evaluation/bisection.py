"""Bisection for a target over the ordered values of a parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from uqdm.bench.run.targets import Found, Target


@dataclass(frozen=True)
class Bisection:
    """The best of the values that were tried, by its place; what every try gave; and whether the best reaches it."""

    best: int
    tries: dict[int, Found]
    is_reached: bool

    @property
    def found(self) -> Found:
        """What the best value gives."""
        return self.tries[self.best]


def bisect(n_values: int, measure: Callable[[int], Found], target: Target) -> Bisection:
    """Searches the values ``0 .. n_values - 1``, each of which ``measure`` tries once at most.

    Both ends are tried first, so that the quantity may rise or fall with the value. If they have the target between
    them, their distance is halved until they are neighbours, which takes at most ``ceil(log2(n_values)) + 2`` tries.
    Rates and qualities of real codecs do not rise at every step, so the best of all tries counts, not the last one.

    >>> target = Target("bytes", "=", 500)
    >>> found = bisect(100, lambda place: Found(10 * place, 10 * place), target)
    >>> found.best, len(found.tries)
    (50, 8)
    """
    tries: dict[int, Found] = {}

    def side(place: int) -> bool:
        if place not in tries:
            tries[place] = measure(place)
        return tries[place].value < target.value

    low, high = 0, n_values - 1
    side_of_low = side(low)
    is_between = side(high) != side_of_low
    while is_between and high - low > 1 and not any(found.value == target.value for found in tries.values()):
        middle = (low + high) // 2
        if side(middle) == side_of_low:
            low = middle
        else:
            high = middle
    best = low
    for place, found in tries.items():
        if target.is_better(found, than=tries[best]):
            best = place
    return Bisection(best, tries, target.is_reached(tries[best], tries.values()))


def unreachable(target: Target, tries: Iterable[Found], images: str) -> str:
    """Why no try reaches a target: their range.

    >>> unreachable(Target("bpp", "=", 0.1), [Found(0.61, 300), Found(4.2, 2100)], "this image")
    'unreachable: bpp from 0.61 to 4.2 on this image, and the target is bpp=0.1'
    """
    values = sorted(found.value for found in tries if not math.isnan(found.value))
    if not values:
        return f"unreachable: {target.quantity} has no value on {images}"
    given = f"{target.name} from {values[0]:.4g} to {values[-1]:.4g}"
    return f"unreachable: {given} on {images}, and the target is {target.text}"
