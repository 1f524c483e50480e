"""Batch sizes and numbers of threads for a processor or a GPU, and transfers to and from it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from uqdm.coding.container import CHUNK_TILES

_ENCODED_AT_ONCE = {"cpu": 1, "cuda": CHUNK_TILES}
"""Batch size of the encoder's network calls, by kind of device. A processor gains little from larger ones, a GPU needs
them to be busy. It does not depend on free memory: files would then depend on it."""
MAX_DECODED_AT_ONCE = 4 * CHUNK_TILES
MAX_AT_WORK = 8
"""Most batches in progress at once, unless a caller asks for more."""
_SHARE = 0.5  # of free memory, so that some is left for a second worker on the GPU


def checked_device(name: str | torch.device) -> torch.device:
    """The device of a name: ``cpu``, ``cuda`` or ``cuda:N``. Raises ValueError for a device that does not exist.

    >>> checked_device("cpu")
    device(type='cpu')
    >>> checked_device("gpu")
    Traceback (most recent call last):
    ValueError: device='gpu': choose cpu, cuda or cuda:N
    """
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in _ENCODED_AT_ONCE or (device.type == "cpu" and device.index):
        raise ValueError(f"device={str(name)!r}: choose cpu, cuda or cuda:N")
    if device.type == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ValueError(f"device={str(name)!r}: torch finds no GPU here; choose cpu")
    if (device.index or 0) >= count:
        raise ValueError(f"device={str(name)!r}: torch finds {count} GPUs here, cuda:0 to cuda:{count - 1}")
    return device


def best_device() -> str:
    """``cuda`` if there is a GPU, else ``cpu``; files are the same on both."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """``cpu``, or ``cuda:`` with the name of the GPU, as :attr:`uqdm.codec.Codec.device`.

    >>> device_name(torch.device("cpu"))
    'cpu'
    """
    return f"cuda:{torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def encoded_at_once(device: torch.device) -> int:
    """Batch size of the encoder's network calls: a constant of the device.

    Linear algebra libraries sum in another order for another batch size. Results then differ in their last bits, and a
    file may state another rounding for them: its bytes would depend on the other images of the batch.
    """
    return _ENCODED_AT_ONCE.get(device.type, CHUNK_TILES)


def decoded_at_once(device: torch.device, tile_bytes: Callable[[], int]) -> int:
    """Largest batch size of the decoder's network calls; ``tile_bytes`` measures the memory of a tile.

    It may depend on free memory, since a decoder's outputs may differ within the file's tolerance.
    """
    if device.type != "cuda":
        return CHUNK_TILES
    free, _ = torch.cuda.mem_get_info(device)
    return tiles_that_fit(free, tile_bytes())


def tiles_that_fit(free_bytes: int, tile_bytes: int) -> int:
    """Tiles of a batch that fits into its share of the free memory, in whole chunks: at least one, at most four.

    >>> tiles_that_fit(16 * 2**30, 2**28), tiles_that_fit(2**40, 2**20), tiles_that_fit(0, 2**20)
    (32, 64, 16)
    """
    chunks = int(_SHARE * free_bytes) // max(tile_bytes, 1) // CHUNK_TILES
    return min(max(chunks, 1) * CHUNK_TILES, MAX_DECODED_AT_ONCE)


def at_work(device: torch.device) -> int:
    """Number of batches in progress at once, each in a thread: one codes while another computes.

    On a processor 2, or 1 where torch is limited to one thread. On a GPU one more than torch's threads, since a thread
    that waits for the GPU needs no core.
    """
    threads = torch.get_num_threads()
    return min(2, threads) if device.type == "cpu" else min(threads + 1, MAX_AT_WORK)


@contextlib.contextmanager
def coding_pool(n_threads: int, *, alone: bool) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, each of which computes ``alone``: torch then shares none of its operations among threads.

    Threads of torch wait for each other in every operation, and on a busy machine for their turn as well. The setting
    is that of the process for new threads, and is restored at the end.
    """
    with ExitStack() as stack:
        if alone:
            stack.enter_context(_restored_threads())
        yield stack.enter_context(ThreadPoolExecutor(n_threads, initializer=_compute_alone if alone else None))


def _compute_alone() -> None:
    torch.set_num_threads(1)


_lock = threading.Lock()
_pools = 0
_threads_before = 1


@contextlib.contextmanager
def _restored_threads() -> Iterator[None]:
    """The first that enters notes the number of torch's threads, the last that leaves restores it."""
    global _pools, _threads_before
    with _lock:
        if _pools == 0:
            _threads_before = torch.get_num_threads()
        _pools += 1
    try:
        yield
    finally:
        with _lock:
            _pools -= 1
            if _pools == 0:
                torch.set_num_threads(_threads_before)


def images_at_once(device: torch.device) -> int:
    """Number of images in a call of a benchmark: enough to keep all threads busy."""
    return CHUNK_TILES if device.type == "cpu" else MAX_AT_WORK * CHUNK_TILES


def measured_bytes(device: torch.device, call: Callable[[], Any]) -> int:
    """Temporary GPU memory of a call; an upper bound if an earlier call needed more."""
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return max(torch.cuda.max_memory_allocated(device) - before, 1)


def to_device(values: np.ndarray, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Values rounded to float32, on a device in ``dtype``; the transfer to a GPU is asynchronous."""
    rounded = torch.from_numpy(values).float()
    if device.type == "cuda":
        rounded = rounded.pin_memory()
    return rounded.to(device, non_blocking=True).to(dtype)


def to_host(values: torch.Tensor) -> np.ndarray:
    """Values as float64 on the host, in C order; other threads can run while it waits."""
    values = values.to(torch.float64).contiguous()
    if values.device.type != "cuda":
        return values.cpu().numpy()
    fetched = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    fetched.copy_(values, non_blocking=True)
    done = torch.cuda.Event(blocking=True)  # the thread sleeps and leaves its core to threads that code
    done.record(torch.cuda.current_stream(values.device))
    done.synchronize()
    return fetched.numpy()
