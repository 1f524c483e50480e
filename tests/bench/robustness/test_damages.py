"""Damages of files are seeded, of every kind, and each changes its file."""

from __future__ import annotations

from collections import Counter

import pytest

from uqdm.bench.robustness.coded_files import spread
from uqdm.bench.robustness.damages import DamageKind, damages, signature

STREAMS = [b"MAGIC" + bytes(range(100)), b"MAGIC" + bytes(range(50, 200)), b"MAGIC" + bytes(60)]


def test_every_file_has_each_damage_and_none_is_a_file() -> None:
    made = damages(STREAMS, 10)
    counts = Counter((one.kind, one.sources[0]) for one in made)
    assert counts == {(kind, index): 10 for kind in DamageKind for index in range(3)}
    assert not {one.stream for one in made} & {*STREAMS}


def test_damages_depend_on_the_seed_alone() -> None:
    assert damages(STREAMS, 5, seed=1) == damages(STREAMS, 5, seed=1)
    assert damages(STREAMS, 5, seed=1) != damages(STREAMS, 5, seed=2)


def test_a_flip_inverts_one_bit_and_other_kinds_are_as_described() -> None:
    for one in damages(STREAMS, 8):
        whole = STREAMS[one.sources[0]]
        if one.kind == DamageKind.FLIP:
            changed = [a ^ b for a, b in zip(one.stream, whole, strict=True) if a != b]
            assert [value.bit_count() for value in changed] == [1]
        elif one.kind == DamageKind.CUT:
            assert whole.startswith(one.stream)
        elif one.kind == DamageKind.EXTEND:
            assert one.stream.startswith(whole)
            assert 1 <= len(one.stream) - len(whole) <= 16
        elif one.kind == DamageKind.RANDOM:
            assert one.stream.startswith(b"MAGIC")
            assert len(one.stream) == len(whole)
        elif one.kind == DamageKind.SPLICE:
            other = STREAMS[one.sources[1]]
            assert any(
                one.stream == whole[:begin] + other[end:] for begin in range(len(whole)) for end in range(len(other))
            )
        else:
            places = [place for place, (a, b) in enumerate(zip(one.stream, whole, strict=True)) if a != b]
            assert places[-1] - places[0] < 16


def test_a_single_file_has_no_splices() -> None:
    assert {one.kind for one in damages(STREAMS[:1], 2)} == {*DamageKind} - {DamageKind.SPLICE}


def test_the_signature_is_what_all_files_begin_with() -> None:
    assert signature(STREAMS) == b"MAGIC"
    assert signature([bytes(40), bytes(30)]) == bytes(16)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(ValueError, match="empty file"):
        damages([b""], 1)


def test_images_are_spread_evenly() -> None:
    assert spread(10, 3) == [0, 3, 6]
    assert spread(3, 10) == [0, 1, 2]
