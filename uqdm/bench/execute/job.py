"""The protocol of jobs: the methods that the scheduler and the actors use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from uqdm.bench.execute.worker import Worker


class Job(Protocol):
    """Work on some items, such as images, in one worker. It is sent to the worker as a pickle."""

    @property
    def loads(self) -> tuple[str, ...]:
        """The name of what a worker has to load for it, such as a codec at a setting: ``("jpeg", "quality=50")``.

        After several failed loads, all jobs that load the same fail.
        """

    @property
    def label(self) -> str:
        """Names the job in messages: ``jpeg:quality=50 images 0 to 49``."""

    @property
    def n_items(self) -> int:
        """The number of its items. A job of one item is never split."""

    @property
    def item(self) -> str:
        """The noun for one item, in messages: ``image``."""

    @property
    def inputs(self) -> range | None:
        """Indices of the inputs that are read ahead for it; None if it takes none."""

    def prepared(self) -> Self:
        """The job with its other data from disk. Called in a thread of the driver, before the job is sent."""

    def run(self, worker: Worker, inputs: Sequence[Any]) -> Any:
        """Runs the job in a worker, and returns its result; :class:`NotLoaded` if ``loads`` could not be loaded."""

    def split(self) -> list[Self]:
        """The same job for each of its items, in order."""

    def merge(self, results: Sequence[Any]) -> Any:
        """The result of the whole, from those of :meth:`split`, in order."""

    def fail(self, inputs: Sequence[Any], reason: str) -> Any:
        """The result if the job is given up. Called in the driver."""


@dataclass(frozen=True)
class NotLoaded:
    """Result of a job whose codec, for example, could not be loaded in this worker; another worker may succeed."""

    reason: str


@dataclass(frozen=True)
class Done:
    """A job's result, its seconds in the worker, the worker's host, and the number of tries."""

    result: Any
    seconds: float
    host: str
    tries: int = 1
