"""The symbols of a step that are possible, given the levels that are still possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Bounds:
    """Limits of symbols whose coordinates have a level in a known window; int64 arrays of one shape."""

    low: np.ndarray
    """Least possible mean of the symbol, half a level beyond the window: bins, 16 fractional bits."""
    high: np.ndarray
    """Greatest possible mean, likewise."""
    first: np.ndarray
    """The first possible symbol."""
    last: np.ndarray
    """The last possible symbol."""

    def at(self, *places: Any) -> Bounds:
        """The limits of some coordinates, by index as of NumPy arrays."""
        return Bounds(self.low[places], self.high[places], self.first[places], self.last[places])

    @property
    def flat(self) -> Bounds:
        """The limits as arrays of one axis."""
        return Bounds(self.low.ravel(), self.high.ravel(), self.first.ravel(), self.last.ravel())
