"""Groups of jobs: who shares workers, and that a group ends with its jobs, however many were expected."""

from collections.abc import Sequence

import pytest
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.dispatch import Group, sharing_workers
from uqdm.bench.fanout import Fanout
from uqdm.bench.provenance import provenance
from uqdm.bench.ray_session import ray_session
from uqdm.bench.requests import Candidate, parse_request, resolve
from uqdm.bench.shards import Kept, split
from uqdm.bench.worker import Done, Work


class Listener:
    """Remembers what was done."""

    def __init__(self) -> None:
        self.starts: list[int] = []

    def done(self, job: Work, done: Done) -> None:
        self.starts.append(job.shard.start)

    def tick(self) -> None:
        pass

    def say(self, text: str) -> None:
        raise AssertionError(text)


def works(dataset: MemoryImages, starts: Sequence[int]) -> list[Work]:
    (candidate,) = resolve([parse_request("toy-raw:drop=0")])["toy-raw"]
    shards = split(dataset, candidate, 2, Kept())
    return [Work(shard, provenance()) for shard in shards if shard.start in starts]


@pytest.mark.usefixtures("ray_on_two_cores")
@pytest.mark.parametrize(("starts", "expected"), [([], 3), ([0, 4], 7), ([0, 2, 4], 1)])
def test_a_group_ends_with_its_jobs_whatever_was_expected(starts: list[int], expected: int) -> None:
    dataset, listener = MemoryImages(unmarked_images(6)), Listener()
    with ray_session() as resources:
        Fanout(resources, dataset, listener).run([Group(iter(works(dataset, starts)), expected)])
    assert sorted(listener.starts) == starts


def test_plain_codecs_share_workers_and_others_have_their_own() -> None:
    jpeg, png = Candidate("jpeg"), Candidate("png")
    model, on_gpu = Candidate("model", holds_model=True), Candidate("gpu", uses_gpu=True)
    assert sharing_workers([model, jpeg, on_gpu, png]) == [[jpeg, png], [model], [on_gpu]]
    assert sharing_workers([on_gpu]) == [[on_gpu]]
    assert sharing_workers(list[Candidate]()) == []
