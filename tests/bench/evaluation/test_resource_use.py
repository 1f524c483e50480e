"""Guards the columns of resources: the peak includes allocated memory, and excludes memory that was freed before."""

from __future__ import annotations

import mmap
import sys

import numpy as np
import pytest

from uqdm.bench.evaluation import resource_use

SIZE = 200 * 2**20  # bytes; far above other allocations of this test


def test_the_peak_includes_memory_that_was_allocated_in_between() -> None:
    resource_use.reset_peak()
    before = resource_use.peak_memory_bytes()
    np.ones(SIZE, np.uint8)
    peak = resource_use.peak_memory_bytes()
    assert SIZE * 0.95 < peak - before < SIZE * 1.1  # the allocator may reuse freed memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the mark")
def test_the_peak_excludes_memory_that_was_freed_before() -> None:
    np.ones(SIZE, np.uint8)
    high = resource_use.peak_memory_bytes()
    resource_use.reset_peak()
    assert resource_use.peak_memory_bytes() < high - 0.9 * SIZE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports shared memory")
def test_the_peak_excludes_shared_memory() -> None:
    shared = mmap.mmap(-1, SIZE)  # anonymous and shared, as Ray's object store is
    before = resource_use.peak_memory_bytes()
    np.frombuffer(shared, np.uint8)[:] = 1
    resource_use.reset_peak()
    assert resource_use.peak_memory_bytes() < before + 0.1 * SIZE
