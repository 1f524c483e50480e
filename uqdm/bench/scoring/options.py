"""Options of a scoring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.run.stage_options import StageOptions
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.option_fields import check_bounds, option, option_group

ALWAYS = ("mse", "psnr_db")
"""Metrics that are computed whether asked for or not: summaries need them, and they cost next to nothing."""


@dataclass(frozen=True)
class ScoringOptions(StageOptions):
    """What to score and how. Only ``metrics`` and ``set_metrics`` change what is computed."""

    metrics: tuple[str, ...] | None = option(
        None, "Compute only this metric, beside MSE and PSNR", flag="--metric", none="all"
    )
    features: Path | None = option(None, "Folder that keeps features", none="features, beside the run", is_folder=True)
    inception_weights: Path | None = option(
        None, "File of the Inception network's weights", flag="--inception", none="found or fetched"
    )
    batch: int = option(32, "Pictures that go through the network at once", minimum=1, in_section=False)
    set_metrics: SetMetricBounds = option_group(SetMetricBounds, "What metrics of sets (FID, KID) are computed on")

    def __post_init__(self) -> None:
        from uqdm.bench.metrics import check_names

        check_bounds(self)
        check_names(self.metrics or ())

    def asks_for(self, name: str) -> bool:
        """Whether the metric of that name is to be computed."""
        return self.metrics is None or name in self.metrics or name in ALWAYS
