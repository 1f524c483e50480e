"""Pairs of an image and what a codec's stream says of it: the training data of second stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uqdm.codec import Codec, get_codec
from uqdm.refine.conditions import Conditions, check_codec, conditions_of
from uqdm.training.data.base import DrawnBatch, Source

_AT_ONCE = 64


@dataclass(frozen=True)
class PairBatch:
    """Images, uint8 [b, S, S, 3], with the conditions of their streams."""

    images_uint8: np.ndarray
    conditions: Conditions


class Pairs:
    """A source of pairs in memory. Pairs are whole images: latents cannot be cropped or mirrored."""

    is_slow = False

    def __init__(self, images_uint8: np.ndarray, conditions: Conditions):
        self._images_uint8, self._conditions = images_uint8, conditions

    def __len__(self) -> int:
        return len(self._images_uint8)

    def draw(self, n: int, size: int, rng: np.random.Generator) -> DrawnBatch:
        """Draws ``n`` pairs; ``size`` is that of the images."""
        return [int(place) for place in rng.integers(len(self), size=n)]

    def load(self, drawn: DrawnBatch) -> PairBatch:
        """The drawn pairs."""
        return PairBatch(self._images_uint8[list(drawn)], self._conditions.rows(list(drawn)))


def pairs_of(source: Source, n: int, size: int, codecs: Sequence[Codec], kind: str, seed: int) -> Pairs:
    """Draws ``n`` images from a source, and codes each with one of the codecs in turn."""
    rng = np.random.default_rng([seed, 2])
    images_uint8 = np.empty((n, size, size, 3), np.uint8)
    for begin in range(0, n, _AT_ONCE):
        count = min(_AT_ONCE, n - begin)
        images_uint8[begin : begin + count] = source.load(source.draw(count, size, rng))
    return Pairs(images_uint8, coded(images_uint8, codecs, kind))


def coded(images_uint8: np.ndarray, codecs: Sequence[Codec], kind: str) -> Conditions:
    """The conditions of images [n, S, S, 3], each coded with one of the codecs in turn."""
    found: dict[int, Conditions] = {}
    for number, codec in enumerate(codecs):
        places = range(number, len(images_uint8), len(codecs))
        for begin in range(0, len(places), _AT_ONCE):
            some = list(places[begin : begin + _AT_ONCE])
            streams = [
                stream for at in _batches(some, codec.batch_size) for stream in codec.encode(list(images_uint8[at]))
            ]
            conditions = conditions_of(codec, streams, kind, *images_uint8.shape[1:3])
            found |= {place: conditions.rows([row]) for row, place in enumerate(some)}
    return _joined([found[place] for place in range(len(images_uint8))])


def codecs_of(name: str, settings: Sequence[Mapping[str, Any]], kind: str) -> list[Codec]:
    """The codec at each of the settings that a model is trained for.

    Raises :class:`uqdm.codec.ParameterError`, and what else :func:`uqdm.codec.get_codec` raises.
    """
    found = [get_codec(name, **setting) for setting in settings]
    for codec in found:
        check_codec(codec, kind)
    return found


def _batches(places: list[int], size: int) -> list[list[int]]:
    return [places[begin : begin + size] for begin in range(0, len(places), size)]


def _joined(parts: Sequence[Conditions]) -> Conditions:
    def join(name: str) -> np.ndarray | None:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    rates = join("log2_bpp")
    assert rates is not None
    return Conditions(rates, join("pictures_uint8"), join("latents"))
