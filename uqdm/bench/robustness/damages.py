"""Damages of coded files: every kind, in seeded places."""

from __future__ import annotations

import enum
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LONGEST_SIGNATURE = 16
"""Maximum number of bytes that a file of random bytes keeps from the beginning of a codec's files."""
_LONGEST_RUN = 16  # bytes that are overwritten or appended
_TRIES = 100


class DamageKind(enum.StrEnum):
    """What is done to a file."""

    CUT = "cut"
    FLIP = "flip"
    OVERWRITE = "overwrite"
    SPLICE = "splice"
    RANDOM = "random"
    EXTEND = "extend"


ABOUT = {
    DamageKind.CUT: "the file ends early, at lengths spread over it",
    DamageKind.FLIP: "one bit is inverted",
    DamageKind.OVERWRITE: f"1 to {_LONGEST_RUN} bytes in a row are replaced by random ones",
    DamageKind.SPLICE: "the beginning of one file, then the rest of another from the same relative place",
    DamageKind.RANDOM: "random bytes of the same length after the bytes that all files of the codec begin with, at "
    f"most {LONGEST_SIGNATURE}",
    DamageKind.EXTEND: f"1 to {_LONGEST_RUN} random bytes follow the end",
}
"""Each kind in words."""


@dataclass(frozen=True)
class Damage:
    """A damaged file, which differs from every file that it was made of. ``sources`` are the indices of those."""

    kind: DamageKind
    sources: tuple[int, ...]
    stream: bytes


def damages(streams: Sequence[bytes], count: int, seed: int = 0) -> list[Damage]:
    """``count`` damages of each kind for each file, ordered by kind; the same for the same seed.

    Fewer where a file is too short, and no splices of a single file. Raises ValueError for an empty file.

    >>> made = damages([b"ab12345678", b"ab87654321"], 2)
    >>> [(one.sources, len(one.stream)) for one in made if one.kind == DamageKind.CUT]
    [((0,), 0), ((0,), 9), ((1,), 0), ((1,), 9)]
    """
    if not all(streams):
        raise ValueError("an empty file cannot be damaged")
    chance = random.Random(seed)
    return [
        damage
        for kind, make in _MAKERS.items()
        for index in range(len(streams))
        for damage in _changed(kind, make(streams, index, count, chance), streams)
    ]


def signature(streams: Sequence[bytes]) -> bytes:
    """The bytes that all files begin with, at most :data:`LONGEST_SIGNATURE`.

    >>> signature([b"GIF89a-one", b"GIF89a-two"])
    b'GIF89a-'
    """
    columns = zip(*(stream[:LONGEST_SIGNATURE] for stream in streams), strict=False)  # as long as the shortest
    return bytes(values[0] for values in itertools.takewhile(lambda values: len({*values}) == 1, columns))


_Made = Iterator[tuple[tuple[int, ...], bytes]]
_Maker = Callable[[Sequence[bytes], int, int, random.Random], _Made]


def _changed(kind: DamageKind, made: _Made, streams: Sequence[bytes]) -> Iterator[Damage]:
    for sources, stream in made:
        if all(stream != streams[index] for index in sources):
            yield Damage(kind, sources, stream)


def _cut(streams: Sequence[bytes], index: int, count: int, chance: random.Random) -> _Made:
    lengths = np.unique(np.linspace(0, len(streams[index]) - 1, count).astype(int))
    for length in lengths.tolist():
        yield (index,), streams[index][:length]


def _flip(streams: Sequence[bytes], index: int, count: int, chance: random.Random) -> _Made:
    for _ in range(count):
        place = chance.randrange(len(streams[index]))
        bit = 1 << chance.randrange(8)
        yield (index,), _with(streams[index], place, bytes([streams[index][place] ^ bit]))


def _overwrite(streams: Sequence[bytes], index: int, count: int, chance: random.Random) -> _Made:
    stream = streams[index]
    for _ in range(count):
        place = chance.randrange(len(stream))
        n_bytes = min(1 + chance.randrange(_LONGEST_RUN), len(stream) - place)
        run = _other_bytes(stream[place : place + n_bytes], chance)
        yield (index,), _with(stream, place, run)


def _other_bytes(run: bytes, chance: random.Random) -> bytes:
    while (other := chance.randbytes(len(run))) == run:
        pass
    return other


def _splice(streams: Sequence[bytes], index: int, count: int, chance: random.Random) -> _Made:
    """Files often begin with the same bytes: places in these are drawn again, since they change nothing."""
    others = [other for other in range(len(streams)) if streams[other] != streams[index]]
    for number in range(count if others else 0):
        other = others[number % len(others)]
        for _ in range(_TRIES):
            share = chance.random()
            stream = streams[index][: _place(streams[index], share)] + streams[other][_place(streams[other], share) :]
            if stream not in (streams[index], streams[other]):
                yield (index, other), stream
                break


def _place(stream: bytes, share: float) -> int:
    return int(share * len(stream))


def _random(streams: Sequence[bytes], index: int, count: int, chance: random.Random) -> _Made:
    kept = signature(streams)
    for _ in range(count):
        yield (index,), kept + chance.randbytes(max(1, len(streams[index]) - len(kept)))


def _extend(streams: Sequence[bytes], index: int, count: int, chance: random.Random) -> _Made:
    for _ in range(count):
        yield (index,), streams[index] + chance.randbytes(1 + chance.randrange(_LONGEST_RUN))


def _with(stream: bytes, place: int, run: bytes) -> bytes:
    return stream[:place] + run + stream[place + len(run) :]


_MAKERS: dict[DamageKind, _Maker] = {
    DamageKind.CUT: _cut,
    DamageKind.FLIP: _flip,
    DamageKind.OVERWRITE: _overwrite,
    DamageKind.SPLICE: _splice,
    DamageKind.RANDOM: _random,
    DamageKind.EXTEND: _extend,
}
