"""Options of the measurement of channel simulation."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.option_fields import check_bounds, option


@dataclass(frozen=True)
class ChannelCostOptions:
    """What to measure."""

    kl_bits: tuple[float, ...] = option(
        (0.5, 1, 2, 3, 4, 5, 6, 8, 10),
        "KL divergence to measure at, in bits",
        minimum=0.5,  # universal quantization costs 0.40 bits a coordinate even where p is right
        maximum=20,
    )
    repetitions: int = option(1000, "Messages of each method at each divergence, at most", minimum=2)
    max_draws: int = option(1 << 25, "Candidates after which a search is stopped", minimum=1)
    draws: int = option(
        1 << 27, "Candidates planned for all messages of a point together, which limits their number", minimum=1
    )
    seed: int = option(0, "Seed of every random number", minimum=0, maximum=(1 << 32) - 1)

    def __post_init__(self) -> None:
        if not self.kl_bits:
            raise ValueError("kl_bits is empty: it needs one divergence at least")
        check_bounds(self)
