"""Time to encode and to decode an image with several ways to use threads, on an idle or a busy machine.

    python benchmarks/threads.py [MODEL] [--sides 64 256 512] [--rounds 5] [--busy 0 2]

*In torch* is the number of threads that share each operation of the network; *batches* is how many batches of tiles are
in progress at once, each in a thread of its own. ``--busy N`` runs N processes beside that compute without pause. Ways
alternate in each round, so that other load slows them alike. Figures are medians over rounds, and medians of the ratios
to the first way within a round.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from uqdm import load_model
from uqdm.bench.datasets import open_dataset
from uqdm.model.checkpoint import Model
from uqdm.progressive import UQDM


@dataclass(frozen=True)
class Way:
    """Threads of torch for each operation, and batches in progress at once."""

    in_torch: int
    batches: int


@dataclass(frozen=True)
class Spent:
    """Seconds of an encoding or decoding: elapsed, and of processor time."""

    wall_s: float
    cpu_s: float


WAYS = (Way(1, 1), Way(2, 1), Way(1, 2), Way(2, 2))


def picture(side: int) -> np.ndarray:
    """A square image, uint8 [side, side, 3], of tiles of the data set ``demo``."""
    tiles = open_dataset("demo")
    across = -(-side // 64)
    rows = [[tiles.load((row * across + column) % len(tiles.ids)) for column in range(across)] for row in range(across)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])[:side, :side]


def timed(call: Callable[[], object]) -> Spent:
    """What a call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def measure(model: Model, image: np.ndarray, way: Way) -> tuple[Spent, Spent]:
    """Encoding and decoding of an image in one way."""
    codec = UQDM(model, overlap=way.batches)
    before = torch.get_num_threads()
    torch.set_num_threads(way.in_torch)
    try:
        codec.decompress(codec.compress([image[:64, :64]]))  # warms up
        files: list[bytes] = []
        encoded = timed(lambda: files.extend(codec.compress([image])))
        return encoded, timed(lambda: codec.decompress(files))
    finally:
        torch.set_num_threads(before)


def _compute() -> None:
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def busy(n_processes: int) -> Iterator[None]:
    """Runs processes beside that compute without pause."""
    context = multiprocessing.get_context("fork")
    beside = [context.Process(target=_compute, daemon=True) for _ in range(n_processes)]
    for process in beside:
        process.start()
    try:
        yield
    finally:
        for process in beside:
            process.kill()
            process.join()


def compare(model: Model, image: np.ndarray, rounds: int) -> dict[Way, list[tuple[Spent, Spent]]]:
    """All ways in turn, ``rounds`` times; the order is reversed in every other round."""
    found: dict[Way, list[tuple[Spent, Spent]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            found[way].append(measure(model, image, way))
    return found


def _row(spent: list[Spent], first: list[Spent]) -> list[str]:
    wall, cpu = (statistics.median(getattr(one, name) for one in spent) for name in ("wall_s", "cpu_s"))
    ratio = statistics.median(one.wall_s / other.wall_s for one, other in zip(spent, first, strict=True))
    return [f"{wall:.2f}", f"{ratio:.2f}", f"{cpu:.2f}"]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="uqdm-pixel")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 256, 512])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    model = load_model(arguments.model).model
    columns = ("beside", "tiles", "in torch", "batches", "encode, s", "ratio", "CPU s", "decode, s", "ratio", "CPU s")
    table = Table(*columns, title=f"{model.name}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}")
    for beside, side in itertools.product(arguments.busy, arguments.sides):
        with busy(beside):
            found = compare(model, picture(side), arguments.rounds)
        for way, spent in found.items():
            parts = [_row([one[at] for one in spent], [one[at] for one in found[WAYS[0]]]) for at in (0, 1)]
            shown = [beside, (-(-side // model.image_size)) ** 2, way.in_torch, way.batches]
            table.add_row(*map(str, shown), *itertools.chain(*parts))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
