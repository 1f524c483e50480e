"""Options of the measurement of channel simulation."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.option_fields import check_bounds, option


@dataclass(frozen=True)
class ChannelCostOptions:
    """What to measure."""

    kl_bits: tuple[float, ...] = option(
        (0.5, 1, 2, 3, 4, 5, 6, 8, 10),
        "KL divergences to measure at, in bits",
        minimum=0.5,  # universal quantization takes 0.40 bits per coordinate even at a mean of 0
        maximum=20,
    )
    repetitions: int = option(1000, "Maximum number of messages of each method at each divergence", minimum=2)
    max_draws: int = option(
        1 << 25, "Number of candidates after which a search is stopped and marked as stopped", minimum=1
    )
    draws: int = option(
        1 << 27,
        "Candidates planned for all messages of a point together; limits their number, but to at least 8",
        minimum=1,
    )
    seed: int = option(0, "Seed of all random numbers", minimum=0, maximum=(1 << 32) - 1)

    def __post_init__(self) -> None:
        if not self.kl_bits:
            raise ValueError("kl_bits is empty: it needs one divergence at least")
        check_bounds(self)
