"""Images a second on a GPU (or without one), its utilization, and the shares of the remaining time.

    python benchmarks/gpu.py [--device cuda] [--shapes tiny small medium big] [--model PATH ...] [--images 256]

Shapes are those of the authors' checkpoints, with random weights: time does not depend on what was learned. Images are
encoded, decoded, and compared with the originals. *Busy* is the share of the wall time in which the device has a call
of the network (one or more), on a GPU by events of its clock. The other shares are of the time of all threads that
may be at work; the time a thread waits for a GPU is in "to and from the device".
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tile_images import load_tiles

from uqdm import load_model
from uqdm.model.checkpoint import Model, as_model, build
from uqdm.progressive import UQDM, compressor, decoder, predictor
from uqdm.progressive.chunk_stream import ChunkStream, FileChunk, StepDecoder
from uqdm.progressive.device import at_work

SHAPES = {"tiny": (32, 1, 8), "small": (64, 8, 16), "medium": (256, 32, 32), "big": (256, 64, 32)}
"""Width, blocks and groups of the norms, from config.json of uqdm-tiny to uqdm-big (Yang et al. 2025)."""
IMAGE_SIZE, N_STEPS, GAMMA_MIN, GAMMA_MAX = 64, 4, -12.3, 6.0  # of all four
TOLERANCE = {"x_hat": 1e-5, "log2_scale": 5e-5}
"""About twice what is measured for uqdm-tiny; fixed, since measuring takes minutes for the larger shapes."""
CODING, SEEDS, NETWORK, TRANSFER, REST = "coding", "choosing seeds", "network", "to and from the device", "other Python"
IDLE = "no work for the thread"
CODING_PARTS: tuple[tuple[Any, str], ...] = (
    (FileChunk, "open"),
    (ChunkStream, "read_grids"),
    (ChunkStream, "read_preview"),
    (ChunkStream, "check_step"),
    (ChunkStream, "read_pixels"),
    (StepDecoder, "read_section"),
    (decoder, "round_section"),
)


def random_model(shape: str) -> Model:
    """A model of one of the shapes, with weights that were never trained."""
    width, n_blocks, norm_groups = SHAPES[shape]
    denoiser = {"kind": "unet", "embedding_dim": width, "n_blocks": n_blocks, "norm_groups": norm_groups}
    denoiser |= {"n_attention_heads": 1, "n_channels": 3, "dropout": 0.0, "attention_everywhere": False}
    denoiser |= {"fourier_features": True, "learned_scale": True, "gamma_min": GAMMA_MIN, "gamma_max": GAMMA_MAX}
    config = {
        "image_size": IMAGE_SIZE,
        "schedule": {"slope": GAMMA_MAX - GAMMA_MIN, "gamma_max": GAMMA_MAX, "n_steps": N_STEPS},
        "denoiser": denoiser,
        "tolerance": [TOLERANCE] * N_STEPS,
    }
    torch.manual_seed(0)
    network = build(config)[0]
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim > 1 and not weights.any():  # blocks begin as the identity: random weights change that
                weights.normal_(std=0.1 / weights[0].numel() ** 0.5)
    return as_model(f"random uqdm-{shape}", network, config)


class Clock:
    """Seconds by label, over all threads; time measured inside another label counts only there."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock, self._local = threading.Lock(), threading.local()

    @contextlib.contextmanager
    def spent_on(self, label: str) -> Iterator[None]:
        """Adds the time inside to a label."""
        inside = self._local.__dict__.setdefault("inside", [])
        inside.append(0.0)
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            own = spent - inside.pop()
            if inside:
                inside[-1] += spent
            with self._lock:
                self.seconds[label] += own

    def timing(self, label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, timed."""

        def timed(*arguments: Any, **options: Any) -> Any:
            with self.spent_on(label):
                return call(*arguments, **options)

        return timed


class Busy:
    """The time in which the device has a call of the network."""

    def __init__(self, device: str):
        self._on_gpu = device.startswith("cuda")
        self._spans: list[tuple[Any, Any]] = []
        self._begun = self._now()

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # gets its time when the GPU reaches it
        event.record()
        return event

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, noted."""

        def noted(*arguments: Any, **options: Any) -> Any:
            begin = self._now()
            found = call(*arguments, **options)
            self._spans.append((begin, self._now()))
            return found

        return noted

    def _since_begun(self, moment: Any) -> float:
        return self._begun.elapsed_time(moment) / 1e3 if self._on_gpu else moment - self._begun

    def seconds(self) -> float:
        """The whole time; calls at the same time count once."""
        if self._on_gpu:
            torch.cuda.synchronize()
        return covered((self._since_begun(begin), self._since_begun(end)) for begin, end in self._spans)


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals.

    >>> covered([(0, 2), (1, 3), (5, 6)])
    4.0
    """
    length, reached = 0.0, -float("inf")
    for begin, end in sorted(spans):
        length += max(end - max(begin, reached), 0)
        reached = max(reached, end)
    return length


@contextlib.contextmanager
def watched(model: UQDM, clock: Clock, busy: Busy) -> Iterator[None]:
    """Times the parts of coding inside."""
    plain = compressor.overlapped

    def overlapped(work: Any, *arguments: Any, **options: Any) -> Any:
        return plain(clock.timing(REST, work), *arguments, **options)

    places: list[tuple[Any, str, str]] = [
        (compressor, "choose_seed", SEEDS),
        (compressor, "write_chunk", CODING),
        (predictor, "to_device", TRANSFER),
        (predictor, "to_host", TRANSFER),
        *((owner, name, CODING) for owner, name in CODING_PARTS),
    ]
    network = model.predictor().denoiser
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(compressor, "overlapped", overlapped))
        for owner, name, label in places:
            stack.enter_context(patch.object(owner, name, clock.timing(label, getattr(owner, name))))
        for name in ("begin", "condition"):
            timed = clock.timing(NETWORK, busy.around(getattr(network, name)))
            stack.enter_context(patch.object(network, name, timed))
        yield


@dataclass
class Found:
    """What one direction of one model took; seconds of ``threads`` add up all that were at work."""

    model: str
    direction: str
    images: int
    wall_seconds: float
    busy_seconds: float
    threads: int
    thread_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float:
        """Images a second."""
        return self.images / self.wall_seconds

    @property
    def busy_share(self) -> float:
        """Share of the wall time in which the device has a call of the network."""
        return self.busy_seconds / self.wall_seconds

    def shares(self) -> dict[str, float]:
        """The threads' time by label, as shares that add up to 1."""
        whole = self.wall_seconds * self.threads
        shares = {label: spent / whole for label, spent in self.thread_seconds.items()}
        return {**shares, IDLE: 1 - sum(shares.values())}


def measure(model: UQDM, images: np.ndarray, batch: int) -> list[Found]:
    """Encoding and decoding of images, handed over ``batch`` at once, after a first batch that is not counted."""
    model.decompress(model.compress(images[:batch]))
    lots = [images[begin : begin + batch] for begin in range(0, len(images), batch)]
    encoded, files = timed(model, "encode", lots, model.compress)
    decoded, pictures = timed(model, "decode", files, model.decompress)
    if not all(np.array_equal(*pair) for pair in zip(lots, pictures, strict=True)):
        raise SystemExit(f"{model.model.name}: decoded images are not those that were encoded")
    return [encoded, decoded]


def timed(model: UQDM, direction: str, lots: Sequence[Any], work: Callable[[Any], Any]) -> tuple[Found, list[Any]]:
    clock, busy = Clock(), Busy(str(model.device))
    with watched(model, clock, busy):
        begun = time.perf_counter()
        results = [work(lot) for lot in lots]
        wall = time.perf_counter() - begun
    count, threads = sum(map(len, lots)), at_work(torch.device(model.device))
    return Found(model.model.name, direction, count, wall, busy.seconds(), threads, dict(clock.seconds)), results


def show(found: Sequence[Found]) -> None:
    table = Table()
    table.add_column("model")
    labels = (NETWORK, TRANSFER, SEEDS, CODING, REST, IDLE)
    for heading in ("", "images/s", "busy, %", "threads", *(f"{label}, %" for label in labels)):
        table.add_column(heading, justify="right")
    for one in found:
        shares = [f"{100 * one.shares().get(label, 0):.1f}" for label in labels]
        speed, busy = f"{one.images_per_second:.2f}", f"{100 * one.busy_share:.1f}"
        table.add_row(one.model, one.direction, speed, busy, str(one.threads), *shares)
    Console(width=170).print(table)


def on_what(device: str) -> str:
    """The machine, in words."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or "a processor"
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, threads: {torch.get_num_threads()}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=None, help="with random weights; all by default")
    parser.add_argument("--model", nargs="*", default=[], help="name or folder of models, in place of shapes")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, help="images handed over at once; by default as the benchmark does")
    parser.add_argument("--dataset", default="demo", help="where images come from, such as npz:PATH#KEY")
    parser.add_argument("--json", type=Path, help="file for the figures")
    chosen = parser.parse_args(arguments)
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("no GPU is here that torch can use: --device cpu")
    shapes = chosen.shapes if chosen.shapes is not None else ([] if chosen.model else list(SHAPES))
    makers: list[Callable[[], UQDM]] = [lambda at=at: load_model(at, device=chosen.device) for at in chosen.model]
    makers += [lambda shape=shape: UQDM(random_model(shape), chosen.device) for shape in shapes]
    found: list[Found] = []
    for make in makers:
        model = make()
        images = load_images(chosen.dataset, chosen.images, model.model.image_size)
        found += measure(model, images, chosen.batch or model.images_at_once)
    machine = on_what(chosen.device)
    print(f"{machine}; load average of the minute before: {os.getloadavg()[0]:.1f}")
    show(found)
    if chosen.json:
        figures = [{**asdict(one), "images_per_second": one.images_per_second, **one.shares()} for one in found]
        chosen.json.write_text(json.dumps({"machine": machine, "device": chosen.device, "found": figures}, indent=2))


def load_images(dataset: str, count: int, size: int) -> np.ndarray:
    """``count`` tiles; if there are fewer, they are repeated and turned."""
    try:
        return load_tiles(dataset, count, size)
    except SystemExit:
        few = load_tiles(dataset, 16, size)
    return np.stack([np.rot90(few[n % 16], n // 16) for n in range(count)])


if __name__ == "__main__":
    main()
