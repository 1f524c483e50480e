"""Images are read ahead within bounds, kept for the next who asks, and one that cannot be read costs no other."""

import numpy as np
import pytest
import ray
from toy_images import MemoryImages

from uqdm.bench.execute import prefetch as reading
from uqdm.bench.execute.prefetch import Reader, Unreadable, read_range
from uqdm.bench.run.codec_settings import CodecSetting
from uqdm.bench.run.shards import KeepOptions, Shard, split

SIDE = 8
SHARD_BYTES = 2 * 3 * SIDE**2


@pytest.fixture
def dataset() -> MemoryImages:
    return MemoryImages([np.full((SIDE, SIDE, 3), index, np.uint8) for index in range(12)])


@pytest.fixture
def shards(dataset: MemoryImages) -> list[Shard]:
    return list(split(dataset, CodecSetting("png"), 2, KeepOptions()))


def read(reader: Reader, shard: Shard) -> list[int]:
    images = ray.get(reader.images(shard))
    assert reader.is_ready(shard)
    return [int(image[0, 0, 0]) for image in images]


@pytest.mark.usefixtures("ray_on_two_cores")
def test_ranges_in_use_stay_within_the_budget_but_for_the_first(dataset: MemoryImages, shards: list[Shard]) -> None:
    reader = Reader(dataset, 2 * SHARD_BYTES, threads=2)
    assert reader.hold(shards[0])
    assert read(reader, shards[0]) == [0, 1]
    assert reader.hold(shards[1])
    assert read(reader, shards[1]) == [2, 3]
    assert not reader.hold(shards[2])
    reader.release(shards[0])
    assert reader.hold(shards[2])
    tight = Reader(dataset, 0)
    assert tight.hold(shards[0])
    assert not tight.hold(shards[1])


@pytest.mark.usefixtures("ray_on_two_cores")
def test_ranges_that_were_used_are_read_once_as_long_as_there_is_room(
    dataset: MemoryImages, shards: list[Shard]
) -> None:
    reader = Reader(dataset, 3 * SHARD_BYTES)
    for _ in range(2):
        for shard in shards[:3]:
            assert reader.hold(shard)
            read(reader, shard)
            reader.release(shard)
    assert dataset.loads == 6
    for shard in shards[3:]:  # drives the first ones out
        reader.hold(shard)
        read(reader, shard)
        reader.release(shard)
    reader.hold(shards[0])
    assert read(reader, shards[0]) == [0, 1]
    assert dataset.loads == 14


@pytest.mark.usefixtures("ray_on_two_cores")
def test_several_jobs_on_one_range_take_its_room_once(dataset: MemoryImages, shards: list[Shard]) -> None:
    reader = Reader(dataset, SHARD_BYTES)
    assert all(reader.hold(shards[0]) for _ in range(3))
    assert read(reader, shards[0]) == [0, 1]
    reader.release(shards[0])
    assert not reader.hold(shards[1])
    assert read(reader, shards[0]) == [0, 1]


def test_an_image_that_cannot_be_read_is_tried_again_and_then_stands_for_itself(
    dataset: MemoryImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_PAUSE_SECONDS", 0)
    tries = {1: 0, 2: 0}
    load = dataset.load

    def flaky(index: int) -> np.ndarray:
        if index in tries:
            tries[index] += 1
            if index == 1 or tries[index] == 1:
                raise OSError(f"image {index} is away")
        return load(index)

    monkeypatch.setattr(dataset, "load", flaky)
    first, second, third = read_range(dataset, 0, 3)
    assert isinstance(first, np.ndarray)
    assert second == Unreadable("cannot be read: OSError: image 1 is away")
    assert isinstance(third, np.ndarray)
    assert tries == {1: 3, 2: 2}
