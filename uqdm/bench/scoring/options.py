"""Options of a scoring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uqdm.bench.run.metric_choice import MetricChoice
from uqdm.bench.run.stage_options import StageOptions
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.option_fields import check_bounds, option, option_group


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
        check_bounds(self)
        MetricChoice(self.metrics)

    @property
    def choice(self) -> MetricChoice:
        """The metrics to compute."""
        return MetricChoice(self.metrics)
