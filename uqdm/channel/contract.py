"""The contract of channel simulation methods: a sample to bits and back, with shared randomness."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

MAX_DRAWS = 1 << 24
"""Default cap on the candidates that an encoder examines for one message."""


@dataclass(frozen=True)
class Sent:
    """A message, and the work that its encoder did.

    An encoder that reaches its cap sends nothing: ``sample`` is None and ``bits`` is empty. A mean over the remaining
    messages would be biased, since cheap messages finish more often.
    """

    sample: np.ndarray | None
    """float64 [n], bit for bit the one that the decoder gets."""
    bits: str
    """The message, of "0" and "1"; no message of a code is a prefix of another."""
    draws: int
    """Candidates examined; for universal quantization, numbers drawn."""
    ideal_bits: float = np.nan
    """-log2 of the message's probability by the code's model: its length without rounding to whole bits."""

    @property
    def stopped(self) -> bool:
        """Whether the encoder stopped at its cap."""
        return self.sample is None


class Simulator(ABC):
    """Sends samples of a unit-variance q with mean mu [n], where the receiver's p has mean 0.

    p = N(0, I) and q = N(mu, I), except in universal quantization, whose noise is uniform. ``kl_bits`` is the KL
    divergence that the code is optimized for; both sides know it. Samples of any mean can be sent, at other lengths.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    """Literature reference of the method."""
    bias: ClassVar[str] = ""
    """How the sample's distribution differs from q; empty where it is q, possibly truncated."""

    def __init__(self, kl_bits: float, n: int = 1, *, max_draws: int = MAX_DRAWS):
        if not (np.isfinite(kl_bits) and kl_bits >= 0):
            raise ValueError(f"kl_bits={kl_bits}: must be finite and not negative")
        if n < 1 or max_draws < 1:
            raise ValueError(f"n={n}, max_draws={max_draws}: must be at least 1")
        self.kl_bits = kl_bits
        self.n = n
        self.max_draws = max_draws

    @abstractmethod
    def encode(self, mu: np.ndarray, seed: int) -> Sent:
        """Sends one sample of q with mean ``mu``, float64 [n]; ``seed`` is shared, and used for this message only."""

    @abstractmethod
    def decode(self, bits: str, seed: int) -> np.ndarray:
        """The sample that ``bits`` encode, float64 [n]; ValueError for bits that no encoder writes."""

    def _checked(self, mu: np.ndarray) -> np.ndarray:
        mu = np.asarray(mu, np.float64)
        if mu.shape != (self.n,) or not np.isfinite(mu).all():
            raise ValueError(f"mu: expected {self.n} finite numbers, got shape {mu.shape}")
        return mu
