"""Options that evaluation and scoring have in common."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.bench.execute.limits import WorkerLimits
from uqdm.option_fields import option, option_group


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """How a stage of a run works on Ray, and what it does where another process works in the folder."""

    cpus: int | None = option(
        None, "Cores for Ray; without effect where RAY_ADDRESS is set", none="all", minimum=1, in_section=False
    )
    wait: bool = option(False, "Wait while another process works in the folder", flag="--wait", in_section=False)
    limits: WorkerLimits = option_group(WorkerLimits, "What workers are given", in_section=False)
