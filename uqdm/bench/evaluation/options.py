"""Options of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.bench.run.stage_options import KeepOptions, StageOptions, metric_choice
from uqdm.option_fields import check_bounds, option

if TYPE_CHECKING:
    from uqdm.bench.run.metric_choice import MetricChoice


@dataclass(frozen=True)
class EvaluationOptions(StageOptions):
    """Options of an evaluation. None changes a number except times; another shard size makes stored shards useless."""

    shard_size: int = option(50, "Images in a shard, the unit of work and of resuming", minimum=1)
    keep_streams: bool = option(
        KeepOptions.streams, "Keep the coded files after scoring", flag="--streams/--no-streams"
    )
    keep_reconstructions: bool = option(
        KeepOptions.reconstructions,
        "Keep every decoded picture, as a PNG",
        flag="--reconstructions/--no-reconstructions",
    )
    timing_repeats: int = option(
        0, "Rounds in which one worker alone measures times again, codecs interleaved", minimum=0
    )
    timing_images: int | None = option(
        None, "Images whose times are measured again, the first of the data set", none="all", minimum=1
    )
    retry_failed: bool = option(False, "Measure shards with failed images again", flag="--retry-failed")
    metrics: tuple[str, ...] | None = option(
        None,
        "Metrics of single images to compute, in addition to MSE and PSNR",
        flag="--metric",
        none="all",
        in_section=False,
    )
    score: bool = option(
        True,
        "Compute metrics of single images as soon as a picture is decoded",
        flag="--score/--no-score",
        in_section=False,
    )
    prune: bool = option(False, "Remove the rows of codecs that are not named here", flag="--prune", in_section=False)

    def __post_init__(self) -> None:
        check_bounds(self)
        metric_choice(self.metrics)

    @property
    def choice(self) -> MetricChoice | None:
        """The metrics to compute; None if scoring computes them later."""
        return metric_choice(self.metrics) if self.score else None
