"""Options of a scoring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.bench.run.stage_options import StageOptions, metric_choice
from uqdm.bench.scoring.selection import SetMetricBounds
from uqdm.option_fields import check_bounds, option, option_group

if TYPE_CHECKING:
    from uqdm.bench.run.metric_choice import MetricChoice


@dataclass(frozen=True)
class ScoringOptions(StageOptions):
    """Options of a scoring. Only ``metrics`` and ``set_metrics`` change which values are computed."""

    metrics: tuple[str, ...] | None = option(
        None, "Metrics to compute, in addition to MSE and PSNR", flag="--metric", none="all"
    )
    features: Path | None = option(
        None, "Folder that keeps features of pictures", none="the folder features next to the run", is_folder=True
    )
    inception_weights: Path | None = option(
        None,
        "File of the weights of the Inception network",
        flag="--inception",
        none="a search in the caches, then a download",
    )
    dinov2_weights: Path | None = option(
        None, "File of the weights of DINOv2 ViT-L/14", flag="--dinov2", none="the file that UQDM_DINOV2 names"
    )
    clip_weights: Path | None = option(
        None, "File of the weights of CLIP ViT-B/32", flag="--clip", none="the file that UQDM_CLIP names"
    )
    batch: int = option(32, "Pictures in one batch of the network", minimum=1, in_section=False)
    set_metrics: SetMetricBounds = option_group(
        SetMetricBounds, "Images, settings and patches that set metrics are computed on"
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        metric_choice(self.metrics)

    def weights(self, extractor: str) -> Path | None:
        """The file of the weights of a feature extractor; None where none is named, or it has none."""
        named: Path | None = getattr(self, f"{extractor}_weights", None)
        return named

    @property
    def choice(self) -> MetricChoice:
        """The metrics to compute."""
        return metric_choice(self.metrics)
