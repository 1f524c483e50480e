"""What every method of channel simulation is: a sample to bits and back, with shared randomness."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

MAX_DRAWS = 1 << 24
"""Candidates that an encoder looks at before it gives up, unless told otherwise."""


@dataclass(frozen=True)
class Sent:
    """What an encoder sends, and what it took.

    An encoder that has met its cap sends nothing: ``sample`` is None and ``bits`` empty. Such messages must not be left
    out of a mean, since those that finish are the cheap ones.
    """

    sample: np.ndarray | None
    """float64 [n], the very one that the decoder gets."""
    bits: str
    """The message, of "0" and "1"; no message of the same code begins another."""
    draws: int
    """Candidates looked at; for universal quantization, numbers drawn."""
    ideal_bits: float = np.nan
    """-log2 of the message's probability by the code's model, which whole bits can only approach."""

    @property
    def stopped(self) -> bool:
        """Whether the encoder gave up at its cap."""
        return self.sample is None


class Simulator(ABC):
    """Sends samples of a unit-variance q with mean mu [n], where the receiver's p has mean 0.

    p = N(0, I) and q = N(mu, I), but for universal quantization, whose noise is uniform. ``kl_bits`` is the KL
    divergence that the code of the index is made for, known to both sides; other means can be sent, at other lengths.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    """Where the method comes from."""
    bias: ClassVar[str] = ""
    """In what the sample's distribution differs from q; empty where it is q's, but for a truncation."""

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS):
        if not (np.isfinite(kl_bits) and kl_bits >= 0):
            raise ValueError(f"kl_bits={kl_bits}: must be finite and not negative")
        if n < 1 or max_draws < 1:
            raise ValueError(f"n={n}, max_draws={max_draws}: must be at least 1")
        self.kl_bits, self.n, self.max_draws = kl_bits, n, max_draws

    @abstractmethod
    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """Sends one sample of q with mean ``mu``, float64 [n]; ``seed`` is shared, and of this message alone."""

    @abstractmethod
    def decode(self, bits: str, seed: int) -> np.ndarray:
        """The sample that ``bits`` stand for, float64 [n]; ValueError for bits that no encoder writes."""

    def _checked(self, mu: np.ndarray) -> np.ndarray:
        mu = np.asarray(mu, np.float64)
        if mu.shape != (self.n,) or not np.isfinite(mu).all():
            raise ValueError(f"mu: expected {self.n} finite numbers, got shape {mu.shape}")
        return mu
