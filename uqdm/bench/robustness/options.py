"""Options of the measurement of robustness."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.option_fields import check_bounds, option


@dataclass(frozen=True)
class RobustnessOptions:
    """How many files are damaged, how often, and the limits of the processes that decode them."""

    files: int = option(4, "Coded files of each codec, of images spread evenly over the data set", minimum=1)
    damages: int = option(32, "Damaged copies of each file by each kind of damage", minimum=1)
    seed: int = option(0, "Seed of the places and bytes of damage", minimum=0, maximum=(1 << 32) - 1)
    file_time_limit_s: float = option(
        20.0, "Seconds after which decoding of a file counts as a hang", flag="--file-time-limit", above=0
    )
    memory_limit_gib: float = option(
        4.0, "Resident memory in GiB of a decoding process above which it counts as out of memory", above=0
    )
    processes: int | None = option(None, "Codecs that are measured at once", none="one for each core", minimum=1)

    def __post_init__(self) -> None:
        check_bounds(self)
