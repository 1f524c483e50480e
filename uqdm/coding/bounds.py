"""What levels that are still possible leave to the symbols of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Bounds:
    """Limits of symbols of coordinates whose level is known to be in a window; int64 arrays of one shape."""

    low: np.ndarray
    """Where the mean of a symbol can be, half a level beyond the window: bins, 16 fractional bits."""
    high: np.ndarray
    first: np.ndarray
    """The first possible symbol."""
    last: np.ndarray

    def at(self, *places: Any) -> Bounds:
        """Those of some of the coordinates."""
        return Bounds(self.low[places], self.high[places], self.first[places], self.last[places])

    @property
    def flat(self) -> Bounds:
        """The same with one axis."""
        return Bounds(self.low.ravel(), self.high.ravel(), self.first.ravel(), self.last.ravel())
