"""Batches of chunks for the network, several of which are processed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from uqdm.coding.container import CHUNK_TILES, Header
from uqdm.progressive.device import coding_pool

TileReport = Callable[[int, int], Any]
"""Callback with the number of tiles that are done, and of all tiles."""
T = TypeVar("T")


@dataclass(frozen=True)
class Chunk:
    """A chunk of one of several images or files: index of the file, number of the chunk, and positions of its tiles."""

    item: int
    number: int
    tiles: range


def batches(headers: Sequence[Header], at_most: int = CHUNK_TILES) -> Iterator[list[Chunk]]:
    """All chunks, in batches of at most ``at_most`` tiles, which must be at least ``CHUNK_TILES``."""
    batch: list[Chunk] = []
    for item, header in enumerate(headers):
        for number, positions in enumerate(header.chunks):
            if sum(len(chunk.tiles) for chunk in batch) + len(positions) > at_most:
                yield batch
                batch = []
            batch.append(Chunk(item, number, positions))
    if batch:
        yield batch


def overlapped(
    work: Callable[[list[Chunk]], T],
    pieces: Iterable[list[Chunk]],
    at_once: int,
    report: TileReport | None,
    *,
    alone: bool = False,
) -> Iterator[tuple[list[Chunk], T]]:
    """Results of ``work`` in the order of the batches, by ``at_once`` threads: one codes while another computes.

    ``alone`` is as in :func:`uqdm.progressive.device.coding_pool`.
    """
    pieces = list(pieces)
    done = 0
    total = sum(len(chunk.tiles) for piece in pieces for chunk in piece)
    with coding_pool(at_once, alone=alone) as pool:
        ahead = [pool.submit(work, piece) for piece in pieces[:at_once]]
        try:
            for number, piece in enumerate(pieces):
                result = ahead.pop(0).result()
                if number + at_once < len(pieces):
                    ahead.append(pool.submit(work, pieces[number + at_once]))
                yield piece, result
                done += sum(len(chunk.tiles) for chunk in piece)
                if report is not None:
                    report(done, total)
        finally:
            for future in ahead:
                future.cancel()
