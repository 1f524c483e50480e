"""Subsets of a given size as whole numbers, and back (enumerative coding; Cover 1973), in exact integers.

A subset of k of the numbers 0..n-1 is one of C(n, k). Its rank is the sum of C(c_i, i) over its members c_1 < c_2 < ...
(the combinatorial number system), so that ranks are 0..C(n, k)-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def rank(members: Sequence[int]) -> int:
    """The number of a subset among those of its size; ``members`` rise strictly, from 0 on.

    >>> [rank(pair) for pair in ([0, 1], [0, 2], [1, 2], [0, 3])]
    [0, 1, 2, 3]
    """
    if any(low >= high for low, high in zip([-1, *members], members, strict=False)):
        raise ValueError("members of a subset must rise strictly, from 0 on")
    return sum(math.comb(member, place) for place, member in enumerate(members, 1))


def members_of(number: int, n: int, k: int) -> list[int]:
    """The reverse of :func:`rank`: the ``k`` members, of 0..n-1, of a subset. ValueError for a number out of range.

    >>> members_of(3, n=4, k=2)
    [0, 3]
    """
    count = math.comb(n, k)
    if not 0 <= number < count:
        raise ValueError(f"no subset of {k} of {n} has the number {number}; there are {count}")
    found = []
    while k > 1:
        # count is C(n, k); C(n - 1, k) subsets lack the number n - 1, and have the lower ranks.
        lacking = count * (n - k) // n
        n -= 1
        if number < lacking:
            count = lacking
            continue
        found.append(n)
        number, count, k = number - lacking, count - lacking, k - 1
    return [*([number] if k else []), *reversed(found)]
