"""Tables of cumulative frequencies: distributions of integers that are the same on every machine.

A table has rows. A row gives consecutive symbols their frequencies out of 2^24, and has an escape below and one above
them, so that any symbol can be coded. Rows are made of exact integers, or of floats that are stored with what they
belong to; a coder never evaluates a float.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOTAL_BITS = 24
TOTAL = 1 << TOTAL_BITS
"""Sum of the frequencies of a distribution."""


@dataclass(frozen=True)
class Frequencies:
    """Rows of cumulative frequencies; int64 arrays.

    Row r has the symbols ``firsts[r]``, ``firsts[r] + 1``, ... Symbol ``firsts[r] + i`` has the slots from
    ``edges[starts[r] + i]`` up to ``edges[starts[r] + i + 1]``. The slots below the first edge of a row and from its
    last edge on are its escapes. ``starts`` has one more entry than there are rows.
    """

    edges: np.ndarray
    starts: np.ndarray
    firsts: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], firsts: Sequence[int]) -> Frequencies:
        """Rows of edges, and the first symbol of each.

        Raises ValueError unless edges increase strictly from at least 1 to at most 2^24 - 1.

        >>> Frequencies.of([np.array([1, TOTAL - 1])], [-3]).n_rows
        1
        """
        for number, row in enumerate(rows):
            if row.size < 2 or row[0] < 1 or row[-1] >= TOTAL or (np.diff(row) < 1).any():
                raise ValueError(f"row {number}: edges must increase strictly within 1..{TOTAL - 1}")
        starts = np.cumsum([0, *(row.size for row in rows)])
        edges = np.concatenate([np.asarray(row, np.int64) for row in rows])
        return cls(edges, starts.astype(np.int64), np.array(firsts, np.int64))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.firsts.size


def edges_of(probabilities: np.ndarray, below: float, above: float) -> np.ndarray:
    """Edges of a row, int64 [N + 1], whose N symbols and two escapes have these probabilities, as far as they can.

    Every symbol and escape has at least one slot. The floats are rounded here: two machines whose floats differ in the
    last bit may get different edges, so the edges are what has to be stored.

    >>> edges_of(np.array([0.25, 0.5]), 0.125, 0.125).tolist()
    [2097152, 6291456, 14680063]
    """
    parts = np.array([below, *probabilities, above], np.float64)
    total = parts.sum()
    if not (np.isfinite(total) and total > 0 and (parts >= 0).all()):
        raise ValueError("probabilities must be finite, not negative, and not all 0")
    free = TOTAL - parts.size
    slots = np.floor(np.cumsum(parts)[:-1] / total * free).astype(np.int64)
    return slots + np.arange(1, parts.size)
