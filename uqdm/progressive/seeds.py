"""Seeds of tiles: how many an encoder tries, and what it chooses among them by."""

from __future__ import annotations

from dataclasses import dataclass

MAX_SEEDS = 256
DEFAULT_SEEDS = 16
SEEDS_FOR = ("step1", "lossless")
"""What the choice among several seeds minimizes: the bits of the first step, or of the whole file."""


@dataclass(frozen=True)
class SeedCandidates:
    """The seeds to try for each tile: ``count`` from ``first`` on; the best one has the least cost ``chosen_for``."""

    first: int
    count: int
    chosen_for: str

    @property
    def seeds(self) -> range:
        """All candidates."""
        return range(self.first, self.first + self.count)
