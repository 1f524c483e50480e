"""Groups of jobs: who shares workers, and that a group ends with its jobs, however many were expected."""

import functools
from collections.abc import Sequence

import pytest
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.evaluation.measure_job import MeasureJob
from uqdm.bench.evaluation.original_images import read_originals
from uqdm.bench.execute.executor import Fanout
from uqdm.bench.execute.job import Done
from uqdm.bench.execute.ray_session import ray_session
from uqdm.bench.execute.scheduler import Group, sharing_workers
from uqdm.bench.run.codec_settings import CodecSetting, parse_request, resolve
from uqdm.bench.run.provenance import provenance
from uqdm.bench.run.shards import KeepOptions, split


class Listener:
    """Remembers what was done."""

    def __init__(self) -> None:
        self.starts: list[int] = []

    def done(self, job: MeasureJob, done: Done) -> None:
        self.starts.append(job.shard.start)

    def tick(self) -> None:
        pass

    def say(self, text: str) -> None:
        raise AssertionError(text)


def works(dataset: MemoryImages, starts: Sequence[int]) -> list[MeasureJob]:
    (codec_setting,) = resolve([parse_request("toy-raw:drop=0")])["toy-raw"]
    shards = split(dataset, codec_setting, 2, KeepOptions())
    return [MeasureJob(shard, provenance()) for shard in shards if shard.start in starts]


@pytest.mark.usefixtures("ray_on_two_cores")
@pytest.mark.parametrize(("starts", "expected"), [([], 3), ([0, 4], 7), ([0, 2, 4], 1)])
def test_a_group_ends_with_its_jobs_whatever_was_expected(starts: list[int], expected: int) -> None:
    dataset, listener = MemoryImages(unmarked_images(6)), Listener()
    load = functools.partial(read_originals, dataset)
    with ray_session() as resources:
        Fanout(resources, load, listener).run([Group(iter(works(dataset, starts)), expected)])
    assert sorted(listener.starts) == starts


def test_plain_codecs_share_workers_and_others_have_their_own() -> None:
    jpeg, png = CodecSetting("jpeg"), CodecSetting("png")
    model, on_gpu = CodecSetting("model", holds_model=True), CodecSetting("gpu", uses_gpu=True)
    assert sharing_workers([model, jpeg, on_gpu, png]) == [[jpeg, png], [model], [on_gpu]]
    assert sharing_workers([on_gpu]) == [[on_gpu]]
    assert sharing_workers(list[CodecSetting]()) == []
