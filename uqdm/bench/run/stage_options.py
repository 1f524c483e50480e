"""Options that evaluation and scoring have in common, and what is kept of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.bench.execute.limits import WorkerLimits
from uqdm.option_fields import option, option_group

if TYPE_CHECKING:
    from uqdm.bench.run.metric_choice import MetricChoice


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """How a stage of a run works on Ray, and what it does where another process works in the folder."""

    cpus: int | None = option(
        None, "Cores for Ray; without effect where RAY_ADDRESS is set", none="all", minimum=1, in_section=False
    )
    wait: bool = option(False, "Wait while another process works in the folder", flag="--wait", in_section=False)
    limits: WorkerLimits = option_group(WorkerLimits, "Resources of the workers", in_section=False)


@dataclass(frozen=True)
class KeepOptions:
    """What is kept of a shard in addition to its rows (see :class:`~uqdm.bench.run.shards.Shard`)."""

    streams: bool = True
    reconstructions: bool = False


def metric_choice(names: tuple[str, ...] | None) -> MetricChoice:
    """The metrics of these names, all if None; raises ValueError for an unknown name.

    Commands read their options without it: metrics, and Ray, which they are sent to workers by, take long to import.
    """
    from uqdm.bench.run.metric_choice import MetricChoice

    return MetricChoice(names)
