"""Resources of workers, and limits of jobs."""

from __future__ import annotations

from dataclasses import dataclass

from uqdm.option_fields import check_bounds, option


@dataclass(frozen=True)
class ActorResources:
    """Resources of an actor on its node: cores, which are also its threads, and a GPU or a part of one."""

    cpus: int = 1
    gpus: float = 0.0

    def fit(self, node: dict[str, float]) -> int:
        """How many fit on a node with these resources.

        >>> ActorResources(cpus=2, gpus=0.5).fit({"CPU": 16, "GPU": 2})
        4
        """
        by_cpus = int(node.get("CPU", 0) // self.cpus)
        if not self.gpus:
            return by_cpus
        n_gpus = int(node.get("GPU", 0))
        # A part of a GPU is a part of one GPU: 0.4 fits twice on each.
        by_gpus = n_gpus * int(1 / self.gpus + 1e-9) if self.gpus <= 1 else int(n_gpus // self.gpus)
        return min(by_cpus, by_gpus)


@dataclass(frozen=True)
class WorkerLimits:
    """Resources of workers, the time limit of a job on a shard, and the number of threads that read images."""

    time_limit_s: float | None = option(
        3600.0,
        "Time limit in seconds for a shard, then for each of its images alone",
        flag="--time-limit",
        none="no limit",
        above=0,
    )
    gpus_per_actor: float = option(
        1.0, "GPUs of a worker whose codec computes on one; 0.5 lets two workers share one", minimum=0.01
    )
    cpus_per_actor: int = option(1, "Cores of a worker with a GPU; other workers have one core", minimum=1)
    readers: int = option(2, "Threads that read images ahead", minimum=1)

    def __post_init__(self) -> None:
        if self.gpus_per_actor <= 0 or (self.gpus_per_actor > 1 and self.gpus_per_actor % 1):
            raise ValueError(f"gpus_per_actor={self.gpus_per_actor}: must be a part of one (0.5), or a whole number")
        check_bounds(self)

    def actor_resources(self, n_gpus: float, *, uses_gpu: bool) -> ActorResources:
        """Resources of an actor on a machine or cluster of ``n_gpus``: a GPU only if its jobs use one."""
        if uses_gpu and n_gpus:
            return ActorResources(self.cpus_per_actor, self.gpus_per_actor)
        return ActorResources()
