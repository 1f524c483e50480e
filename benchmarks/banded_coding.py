"""Time of coding with a model in bands: with its networks, and with their outputs kept from a first pass."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from uqdm.coding.container import parse
from uqdm.progressive import BandedUQDM, tiles
from uqdm.progressive.banded.chunks import Group, TileChunk, decode, encode
from uqdm.progressive.banded.steps import Draws

_CALLS = (("bands", "open"), ("bands", "section"), ("", "open_pixel_step"), ("", "open_last_stage"), ("", "misfit"))


class Kept:
    """The networks' outputs in the order of the calls: noted in a first pass, then given without computing."""

    def __init__(self) -> None:
        self._outputs: list[Any] = []
        self._next: int | None = None

    def start(self) -> None:
        """Gives the outputs from the first one on."""
        self._next = 0

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, or its kept outputs."""

        def kept(*given: Any) -> Any:
            if self._next is None:
                self._outputs.append(function(*given))
                return self._outputs[-1]
            self._next += 1
            return self._outputs[self._next - 1]

        return kept


@contextmanager
def outputs_kept(model: BandedUQDM, kept: Kept) -> Iterator[None]:
    """Replaces the networks by what ``kept`` holds."""
    networks: Any = model._networks.networks
    with ExitStack() as stack:
        places = [(getattr(networks, part) if part else networks, name) for part, name in _CALLS]
        places += [(network, "section") for network in networks.late]
        for place, name in places:
            stack.enter_context(patch.object(place, name, kept.call(getattr(place, name))))
        yield


def measure(model: BandedUQDM, images: np.ndarray, repeats: int) -> list[tuple[str, float, float]]:
    """Rows: what, and median CPU milliseconds an image to encode and to decode, by one thread."""
    found: dict[str, list[float]] = {name: [] for name in ("encode", "decode", "encode all", "decode all")}
    size = model.model.image_size
    for image in images:
        file = model.compress([image])[0]
        container = parse(file)
        levels = tiles.to_coordinates(image[None]).reshape(1, 3, size, size)
        segments = [[container.segment(0, stage) for stage in range(container.header.n_stages)]]

        def encoded(levels: np.ndarray = levels, head: bytes = container.head) -> list[bytes]:
            return encode(model._networks, levels, _group(head), ideal=False)[0].segments

        def decoded(segments: list[list[bytes]] = segments, head: bytes = container.head) -> np.ndarray:
            *_, last = decode(model._networks, _group(head), segments, len(segments[0]))
            return last.levels

        for name, run in (("encode", encoded), ("decode", decoded)):
            kept = Kept()
            found[f"{name} all"].append(_milliseconds(run))
            with outputs_kept(model, kept):
                run()
                times = []
                for _ in range(repeats):
                    kept.start()
                    times.append(_milliseconds(run))
            found[name].append(statistics.median(times))
        if encoded() != segments[0] or not (decoded() == levels).all():
            raise RuntimeError("coding in parts is not what the compressor does")
    middle = {name: statistics.median(values) for name, values in found.items()}
    return [
        ("coding, everything", middle["encode"], middle["decode"]),
        ("with the networks in float64", middle["encode all"], middle["decode all"]),
    ]


def _group(head: bytes) -> Group:
    return Group([TileChunk(head, 0, Draws([0], [0]))])


def _milliseconds(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return 1e3 * (time.process_time() - begun)
