"""Makes a run's folder with real measurements in this process: what an evaluation writes, without Ray."""

from __future__ import annotations

from pathlib import Path

from uqdm.bench.gather import Context, finish_codec
from uqdm.bench.provenance import provenance
from uqdm.bench.requests import parse_request, resolve
from uqdm.bench.shards import Images, ShardStore, split
from uqdm.bench.worker import Work, run_job

SHARD_SIZE = 3


def measure_run(run_dir: Path, dataset: Images, *codecs: str) -> Path:
    """Measures codecs, each ``NAME`` or ``NAME:key=value``, and returns ``run_dir``."""
    context = Context(dataset, ShardStore(run_dir), provenance(), SHARD_SIZE, keep_streams=True)
    for name, candidates in resolve([parse_request(text) for text in codecs]).items():
        runnable = [candidate for candidate in candidates if candidate.missing is None]
        shards = [shard for one in runnable for shard in split(dataset, one, SHARD_SIZE, keep_streams=True)]
        known = {}
        for shard in shards:
            images = [dataset.load(index) for index in range(shard.start, shard.stop)]
            finished = run_job(Work(shard, context.origin), images)
            context.store.write(shard, finished.rows, finished.streams)
            known[shard.key] = finished.counts
        finish_codec(context, name, candidates, shards, known)
    return run_dir
