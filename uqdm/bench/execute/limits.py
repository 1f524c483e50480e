"""What workers are given, and how long a job may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Post:
    """What a member takes of its node: cores, which are its threads too, and a GPU or a part of one."""

    cpus: int = 1
    gpus: float = 0.0

    def room(self, node: dict[str, float]) -> int:
        """How many fit on a node with these resources.

        >>> Post(cpus=2, gpus=0.5).room({"CPU": 16, "GPU": 2})
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
class Limits:
    """What jobs may take: ``time_limit_s`` for each shard (None: for ever), what workers get, threads that read images.

    ``gpus_per_actor`` is for codecs that compute on a GPU, where there is one: 0.5 puts two workers on each; so is
    ``cpus_per_actor``, cores that such a worker codes on beside its GPU. All others get a core each and no GPU.
    """

    time_limit_s: float | None = 3600.0
    gpus_per_actor: float = 1.0
    cpus_per_actor: int = 1
    readers: int = 2

    def __post_init__(self) -> None:
        if self.time_limit_s is not None and not self.time_limit_s > 0:
            raise ValueError(f"time limit of {self.time_limit_s} s: must be above 0, or none")
        if not self.gpus_per_actor > 0 or (self.gpus_per_actor > 1 and self.gpus_per_actor % 1):
            raise ValueError(f"gpus per actor {self.gpus_per_actor}: a part of one (0.5), or a whole number")
        if self.cpus_per_actor < 1 or self.readers < 1:
            raise ValueError(
                f"cpus per actor and readers must be at least 1, got {self.cpus_per_actor} and {self.readers}"
            )

    def post(self, n_gpus: float, *, uses_gpu: bool) -> Post:
        """The post of a worker on a machine or cluster of ``n_gpus``: on a GPU only if its codec computes there."""
        if uses_gpu and n_gpus:
            return Post(self.cpus_per_actor, self.gpus_per_actor)
        return Post()
