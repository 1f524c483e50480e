"""Batches of chunks for the network, several at work at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from uqdm.coding.container import CHUNK_TILES, Header

Report = Callable[[int, int], Any]
"""Told how many tiles are done, and of how many."""
T = TypeVar("T")


@dataclass(frozen=True)
class Chunk:
    """A chunk of one of the images or files at hand: whose, which one, and its tiles."""

    item: int
    number: int
    tiles: range


def batches(headers: Sequence[Header], at_most: int = CHUNK_TILES) -> Iterator[list[Chunk]]:
    """All chunks, grouped so that a batch has at most so many tiles; a full chunk's number is the least."""
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
    work: Callable[[list[Chunk]], T], pieces: Iterable[list[Chunk]], at_once: int, report: Report | None
) -> Iterator[tuple[list[Chunk], T]]:
    """Results of ``work`` in the order of the batches, with ``at_once`` of them at work: coding beside the network."""
    pieces, done = list(pieces), 0
    total = sum(len(chunk.tiles) for piece in pieces for chunk in piece)
    with ThreadPoolExecutor(at_once) as pool:
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
