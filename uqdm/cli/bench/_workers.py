"""Options of the commands that work on Ray."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uqdm.bench.execute.limits import Limits

TimeLimit = Annotated[
    float, typer.Option(help="Seconds that a shard may take, then an image of it alone; 0: any time", min=0)
]
GpusPerActor = Annotated[
    float, typer.Option(help="GPUs of a worker whose codec computes on one; 0.5: two workers share one", min=0.01)
]
CpusPerActor = Annotated[int, typer.Option(help="Cores of a worker that has a GPU, to code on", min=1)]
Readers = Annotated[int, typer.Option(help="Threads that read images ahead", min=1)]

TIME_LIMIT_S = 3600.0


def limits(time_limit: float, gpus_per_actor: float, cpus_per_actor: int, readers: int) -> Limits:
    """The options as the library takes them."""
    from uqdm.bench.execute.limits import Limits

    return Limits(time_limit or None, gpus_per_actor, cpus_per_actor, readers)


def refuse_only_failures(n_ok: int, reasons: Iterable[str | None]) -> None:
    """Raises ValueError with the first reason where there are failures, and nothing is ok."""
    found = list(reasons)
    if found and not n_ok:
        raise ValueError(f"all images failed at all settings; the first: {found[0] or 'for no known reason'}")
