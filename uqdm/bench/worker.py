"""What runs inside a Ray worker: jobs, with the codecs that it keeps between them; and the job of measuring a shard."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from uqdm.bench import footprint
from uqdm.bench.measure import Measured, describe, failure, measure_images, warm_up
from uqdm.bench.provenance import machine, with_provenance
from uqdm.bench.requests import Candidate
from uqdm.bench.schema import RATE_FILE, RATE_IDEAL, ROWS, STATUS_OK, STREAMS
from uqdm.bench.shards import Shard, count_images, to_parquet
from uqdm.codec import Codec, get_codec

T = TypeVar("T")


class Job(Protocol):
    """What a worker can be asked to do on some images of one shard."""

    @property
    def shard(self) -> Shard:
        """The images."""

    @property
    def takes_images(self) -> bool:
        """Whether the originals of the shard are needed."""

    def ready(self) -> Self:
        """The job with all that it needs from disk; called just before it is sent to a worker."""

    def run(self, worker: Worker, images: Sequence[np.ndarray]) -> Any:
        """Does it, inside a worker."""

    def alone(self) -> list[Self]:
        """The same job for each of its images."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """What the job gives, from what those of its images gave, in their order."""

    def lost(self, images: Sequence[np.ndarray], reason: str) -> Any:
        """What the job gives where it killed its worker again and again."""


@dataclass(frozen=True)
class Work:
    """The job of measuring a shard, and the provenance that its files are to carry."""

    shard: Shard
    origin: Mapping[str, Any]
    takes_images = True

    def ready(self) -> Self:
        """See :class:`Job`; nothing is needed."""
        return self

    def run(self, worker: Worker, images: Sequence[np.ndarray]) -> Finished:
        """See :class:`Job`."""
        return worker.measure(self, images)

    def alone(self) -> list[Self]:
        """See :class:`Job`."""
        return [replace(self, shard=shard) for shard in self.shard.alone()]

    def merged(self, parts: Sequence[Finished]) -> Finished:
        """See :class:`Job`."""
        counts = sum((part.counts for part in parts), Counter[str]())
        return Finished(
            _concatenate([part.rows for part in parts]), _concatenate([part.streams for part in parts]), counts
        )

    def lost(self, images: Sequence[np.ndarray], reason: str) -> Finished:
        """See :class:`Job`."""
        return finish(self, failed(images, reason))


def _concatenate(files: list[bytes]) -> bytes:
    return to_parquet(pa.concat_tables([pq.read_table(pa.BufferReader(data)) for data in files]))


@dataclass(frozen=True)
class Finished:
    """A measured shard: the Parquet files' bytes and images by status."""

    rows: bytes
    streams: bytes
    counts: Counter[str]


class Worker:
    """Does jobs in one process, and keeps the codecs that it made between them."""

    def __init__(self) -> None:
        self._codecs: dict[tuple[str, str], tuple[Codec, Codec]] = {}
        self._kept: dict[Hashable, tuple[Any, bool]] = {}

    def run(self, job: Job, images: Sequence[np.ndarray]) -> Any:
        """Does one job."""
        return job.run(self, images)

    def keep(self, key: Hashable, make: Callable[[], T], *, alone: bool = False) -> T:
        """What ``make`` gave when it was first called under ``key``, with one thread.

        What is kept ``alone`` makes way for the next such thing: one codec's model at a time in memory.
        """
        if key not in self._kept:
            if alone:
                self._kept = {other: kept for other, kept in self._kept.items() if not kept[1]}
            self._kept[key] = (make(), alone)
            limit_threads()
        kept: T = self._kept[key][0]
        return kept

    def measure(self, work: Work, images: Sequence[np.ndarray]) -> Finished:
        """Measures every image of a shard; a codec that cannot be made here fails them all, with its reason."""
        footprint.begin_peak()
        try:
            encoder, decoder = self._ready(work.shard.candidate, images[0])
        except Exception as error:
            return finish(work, failed(images, describe(error)))
        measured = measure_images(encoder, decoder, images)
        taken = {"threads": footprint.threads(), "peak_memory_bytes": footprint.peak_memory_bytes()}
        for row in measured.rows:
            row |= taken if row["status"] == STATUS_OK else {}
        return finish(work, measured)

    def _ready(self, candidate: Candidate, image: np.ndarray) -> tuple[Codec, Codec]:
        """An encoder and a decoder, warm; the same object where construction is costly."""
        key = (candidate.name, candidate.setting)
        if key not in self._codecs:
            if candidate.holds_model:
                self._codecs.clear()  # one model at a time in memory
            encoder = _make(candidate)
            decoder = encoder if candidate.holds_model else _make(candidate)
            limit_threads()
            warm_up(encoder, decoder, image)
            self._codecs[key] = (encoder, decoder)
        return self._codecs[key]


def _make(candidate: Candidate) -> Codec:
    codec = get_codec(candidate.name, **candidate.parameters)
    if codec.version != candidate.version:  # another library on another node of a cluster
        raise RuntimeError(f"this worker has {codec.version}, not {candidate.version}; install the same on every node")
    return codec


def limit_threads() -> None:
    """One thread a worker: the workers fill the cores already. Ray's OMP_NUM_THREADS comes too late for torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


_worker = Worker()


def run_job(job: Job, images: Sequence[np.ndarray]) -> Any:
    """Does a job in this process, as a plain task; codecs are kept for the tasks that follow."""
    return _worker.run(job, images)


def failed(images: Sequence[np.ndarray], reason: str) -> Measured:
    """A failed row for each image, and no streams."""
    sizes = [{"height": image.shape[0], "width": image.shape[1]} for image in images]
    rows = [{"image_index": index, **size, **failure(reason)} for index, size in enumerate(sizes)]
    return Measured(rows, [None] * len(images))


def finish(work: Work, measured: Measured) -> Finished:
    """Turns measurements into the files of their shard."""
    shard, candidate = work.shard, work.shard.candidate
    shared = {
        "dataset": shard.dataset,
        "fingerprint": shard.fingerprint,
        "codec": candidate.name,
        "codec_version": candidate.version,
        "setting": candidate.setting,
        "rate_kind": RATE_IDEAL if candidate.ideal else RATE_FILE,
    }
    rows = [{**shared, **row, **_place(shard, row["image_index"])} for row in measured.rows]
    origin = {**work.origin, "machine": machine()}
    table = pa.Table.from_pylist(rows, schema=with_provenance(ROWS, origin))
    streams = to_parquet(_streams(shard, measured, origin))
    return Finished(to_parquet(table), streams, count_images(table))


def _place(shard: Shard, offset: int) -> dict[str, Any]:
    return {"image_index": shard.start + offset, "image_id": shard.image_ids[offset]}


def _streams(shard: Shard, measured: Measured, origin: Mapping[str, Any]) -> pa.Table:
    shared = {
        "codec": shard.candidate.name,
        "setting": shard.candidate.setting,
        "suffix": shard.candidate.suffix,
    }
    kept = [(offset, stream) for offset, stream in enumerate(measured.streams) if stream is not None]
    rows = [{**_place(shard, offset), **shared, "stream": stream} for offset, stream in kept]
    return pa.Table.from_pylist(rows, schema=with_provenance(STREAMS, origin))
