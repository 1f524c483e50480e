"""Times measured again in rounds: each round measures every codec and setting once, and then the next begins.

A machine's speed drifts: it gets warm, throttles, or has other work. Measured one after the other, the codec that ran
at a bad time looks slow. In rounds, drift meets all codecs alike. The least time is the one with the least disturbance,
the median the usual one. One worker does all of it, and no other runs.

Times of one codec compare with those of another only if both are of the same rounds. So all codecs are timed again when
one of them has no times yet.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from uqdm.bench.evaluation.codec_plan import CodecPlan
from uqdm.bench.evaluation.context import Context
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.evaluation.original_images import read_originals
from uqdm.bench.evaluation.timing_job import PictureTime, TimingJob
from uqdm.bench.execute.executor import Executor
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.ray_session import Resources
from uqdm.bench.execute.scheduler import Group
from uqdm.bench.progress.progress import RunProgress
from uqdm.bench.run.shards import Shard
from uqdm.bench.run.timing_store import TimingStore
from uqdm.text import counted

PART = "timing rounds"
"""Names the rounds in the progress; no codec has a name with a blank."""
UNIT = "repeated timings"


@dataclass(frozen=True)
class TimingRounds:
    """The shards that are timed, ``repeats`` times, each with the number of its images that are, and their times."""

    context: Context
    repeats: int
    shards: Sequence[tuple[Shard, int]]
    uses_gpu: bool
    _times: dict[tuple[str, str, int], list[PictureTime]] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context, plans: Sequence[CodecPlan], options: EvaluationOptions) -> TimingRounds:
        """The rounds that the options ask for; none if the run has all these times.

        Ideal codecs, none of whose coders is timed, and settings that are searched for each image are left out.
        """
        n_images = min(options.timing_images or len(context.dataset), len(context.dataset))
        repeats, store = options.timing_repeats, TimingStore(context.store.run_dir)
        timed = plans if repeats else []
        shards = [
            (shard, min(shard.stop, n_images) - shard.start)
            for plan in timed
            for shard in plan.shards()
            if shard.start < n_images and not shard.codec_setting.ideal and shard.codec_setting.target is None
        ]
        if all(store.has(shard, range(shard.start, shard.start + count), repeats) for shard, count in shards):
            shards = []
        shards.sort(key=lambda one: one[0].start)  # all settings of some images, before the next images
        return cls(context, repeats, shards, any(plan.uses_gpu for plan in plans))

    def run(self, resources: Resources, options: EvaluationOptions, progress: RunProgress) -> None:
        """Measures all rounds in one worker, and stores the times; an interrupted run begins them anew."""
        settings = {(shard.codec_setting.name, shard.codec_setting.setting) for shard, _ in self.shards}
        n_images = sum(count for _, count in self.shards)
        progress.say(
            f"{PART}: {counted(self.repeats, 'round')} of {counted(len(settings), 'setting')} on "
            f"{counted(n_images // len(settings), 'image')} each, by one worker"
        )
        progress.add(PART, f"{PART} ({self.repeats})", self.repeats * n_images, stored=0, unit=UNIT)
        load = functools.partial(read_originals, self.context.dataset)
        n_jobs = self.repeats * len(self.shards)
        group = Group(TimingJob, self.jobs(), n_jobs, self.uses_gpu, most_workers=1)
        Executor(resources, load, _Listener(self, progress), options.limits).run([group])
        self.store()

    def jobs(self) -> Iterator[TimingJob]:
        """The jobs of all rounds, in the order in which they run."""
        for _ in range(self.repeats):
            for shard, count in self.shards:
                yield TimingJob(replace(shard, image_ids=list(shard.image_ids)[:count]))

    def collect(self, job: TimingJob, times: Sequence[PictureTime]) -> None:
        """Notes the times of one job."""
        self._times.setdefault(_key(job.shard), []).extend(times)

    def store(self) -> None:
        """Stores what was collected of each shard."""
        store = TimingStore(self.context.store.run_dir)
        for shard, count in self.shards:
            images = range(shard.start, shard.start + count)
            store.write(shard, time_rows(self._times.get(_key(shard), []), images, self.repeats))


class _Listener:
    """Passes the results of jobs on."""

    def __init__(self, rounds: TimingRounds, progress: RunProgress) -> None:
        self._rounds = rounds
        self._progress = progress
        self.tick, self.say = progress.tick, progress.say

    def done(self, job: TimingJob, done: Done) -> None:
        """Notes the times of one shard in one round."""
        self._rounds.collect(job, done.result)
        self._progress.advance(PART, len(job.shard.image_ids))


def time_rows(times: Sequence[PictureTime], images: range, repeats: int) -> list[dict[str, Any]]:
    """The rows of the store: for each picture the least and the median time, and one without a point for other images.

    A picture that failed in some round has no times.

    >>> times = [PictureTime(0, "full", "decoded", encode_ms, 1.0) for encode_ms in (5.0, 3.0, 10.0)]
    >>> [(row["encode_ms_min"], row["encode_ms_median"]) for row in time_rows(times, range(1), 3)]
    [(3.0, 5.0)]
    """
    pictures: dict[tuple[int, str, str], list[tuple[float, float]]] = {}
    for time in times:
        key = (time.image_index, time.point, time.reconstruction)
        pictures.setdefault(key, []).append((time.encode_ms, time.decode_ms))
    rows: list[dict[str, Any]] = []
    for (index, point, reconstruction), found in pictures.items():
        if len(found) == repeats:
            (encode_min, decode_min), (encode_median, decode_median) = np.min(found, axis=0), np.median(found, axis=0)
            rows.append(
                {
                    "image_index": index,
                    "point": point,
                    "reconstruction": reconstruction,
                    "timing_repeats": repeats,
                    "encode_ms_min": float(encode_min),
                    "encode_ms_median": float(encode_median),
                    "decode_ms_min": float(decode_min),
                    "decode_ms_median": float(decode_median),
                }
            )
    timed = {row["image_index"] for row in rows}
    rows += [{"image_index": index, "timing_repeats": repeats} for index in images if index not in timed]
    return rows


def _key(shard: Shard) -> tuple[str, str, int]:
    return shard.codec_setting.name, shard.codec_setting.setting, shard.start
