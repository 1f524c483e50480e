"""Inputs are read ahead within bounds, and kept for later jobs."""

import numpy as np
import pytest
import ray

from uqdm.bench.execute.prefetch import Prefetcher

ITEM_BYTES = 1000
BLOCK_BYTES = 2 * ITEM_BYTES
BLOCKS = [range(start, start + 2) for start in range(0, 12, 2)]


class Items:
    """Arrays of their index; counts how often one is read."""

    def __init__(self) -> None:
        self.reads = 0

    def __call__(self, indices: range) -> list[np.ndarray]:
        self.reads += len(indices)
        return [np.full(ITEM_BYTES, index, np.uint8) for index in indices]


@pytest.fixture
def items() -> Items:
    return Items()


def read(prefetcher: Prefetcher, indices: range) -> list[int]:
    found = ray.get(prefetcher.items(indices))
    assert prefetcher.is_ready(indices)
    return [int(item[0]) for item in found]


@pytest.mark.usefixtures("ray_on_two_cores")
def test_ranges_in_use_stay_within_the_budget_except_the_first(items: Items) -> None:
    prefetcher = Prefetcher(items, 2 * BLOCK_BYTES, threads=2)
    assert prefetcher.hold(BLOCKS[0])
    assert read(prefetcher, BLOCKS[0]) == [0, 1]
    assert prefetcher.hold(BLOCKS[1])
    assert read(prefetcher, BLOCKS[1]) == [2, 3]
    assert not prefetcher.hold(BLOCKS[2])
    prefetcher.release(BLOCKS[0])
    assert prefetcher.hold(BLOCKS[2])
    tight = Prefetcher(items, 0)
    assert tight.hold(BLOCKS[0])
    assert not tight.hold(BLOCKS[1])


@pytest.mark.usefixtures("ray_on_two_cores")
def test_ranges_that_were_used_are_read_once_while_there_is_room(items: Items) -> None:
    prefetcher = Prefetcher(items, 3 * BLOCK_BYTES)
    for _ in range(2):
        for block in BLOCKS[:3]:
            assert prefetcher.hold(block)
            read(prefetcher, block)
            prefetcher.release(block)
    assert items.reads == 6
    for block in BLOCKS[3:]:  # the first ones are dropped for these
        prefetcher.hold(block)
        read(prefetcher, block)
        prefetcher.release(block)
    prefetcher.hold(BLOCKS[0])
    assert read(prefetcher, BLOCKS[0]) == [0, 1]
    assert items.reads == 14


@pytest.mark.usefixtures("ray_on_two_cores")
def test_several_jobs_on_one_range_take_its_room_once(items: Items) -> None:
    prefetcher = Prefetcher(items, BLOCK_BYTES)
    assert all(prefetcher.hold(BLOCKS[0]) for _ in range(3))
    assert read(prefetcher, BLOCKS[0]) == [0, 1]
    prefetcher.release(BLOCKS[0])
    assert not prefetcher.hold(BLOCKS[1])
    assert read(prefetcher, BLOCKS[0]) == [0, 1]
