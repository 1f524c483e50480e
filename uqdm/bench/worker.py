"""What runs inside a Ray worker: makes codecs, measures a shard, and returns its files' bytes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from uqdm.bench import footprint
from uqdm.bench.measure import Measured, describe, failure, measure_images, warm_up
from uqdm.bench.metrics import rows_schema
from uqdm.bench.provenance import machine, with_provenance
from uqdm.bench.requests import Candidate
from uqdm.bench.schema import STATUS_OK, STREAMS
from uqdm.bench.shards import Shard, count_images, to_parquet
from uqdm.codec import Codec, get_codec


@dataclass(frozen=True)
class Work:
    """A shard to measure, and the provenance that its files are to carry."""

    shard: Shard
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    """A measured shard: the Parquet files' bytes (``streams`` None where they are not kept), images by status."""

    rows: bytes
    streams: bytes | None
    counts: Counter[str]


class Worker:
    """Measures shards in one process, and keeps the codecs that it made between them."""

    def __init__(self) -> None:
        self._codecs: dict[tuple[str, str], tuple[Codec, Codec]] = {}

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
            _limit_threads()
            warm_up(encoder, decoder, image)
            self._codecs[key] = (encoder, decoder)
        return self._codecs[key]


def _make(candidate: Candidate) -> Codec:
    codec = get_codec(candidate.name, **candidate.parameters)
    if codec.version != candidate.version:  # another library on another node of a cluster
        raise RuntimeError(f"this worker has {codec.version}, not {candidate.version}; install the same on every node")
    return codec


def _limit_threads() -> None:
    """One thread a worker: the workers fill the cores already. Ray's OMP_NUM_THREADS comes too late for torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


_worker = Worker()


def measure_shard(work: Work, images: Sequence[np.ndarray]) -> Finished:
    """Measures a shard in this process, as a plain task; codecs are kept for the tasks that follow."""
    return _worker.measure(work, images)


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
    }
    rows = [{**shared, **row, **_place(shard, row["image_index"])} for row in measured.rows]
    origin = {**work.origin, "machine": machine()}
    table = pa.Table.from_pylist(rows, schema=with_provenance(rows_schema(), origin))
    streams = to_parquet(_streams(shard, measured, origin)) if shard.keep_streams else None
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
