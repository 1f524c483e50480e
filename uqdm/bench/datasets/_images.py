"""The part of a data set that an evaluation uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Images(Protocol):
    """The part of a data set that an evaluation uses (see :mod:`uqdm.bench.datasets`)."""

    @property
    def name(self) -> str:
        """Name, as in the rows."""

    @property
    def spec(self) -> str:
        """The text that opens the data set again."""

    @property
    def fingerprint(self) -> str:
        """Count and content hash."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of the images."""

    def __len__(self) -> int: ...

    def load(self, index: int) -> np.ndarray:
        """Image ``index``, uint8 [H, W, 3]."""
