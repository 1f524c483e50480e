"""Offsets keep every value away from the boundaries, take the stated bits, and round-trip."""

import numpy as np
import pytest

from uqdm.coding import offsets
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.offsets import MAX_GROUPS, OFFSETS, MarginError, Offsets


def values_and_cells(size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 30, size), rng.integers(-5, 10, size)


@pytest.mark.parametrize("size", [1, 3, 48, 200, 12288])
@pytest.mark.parametrize("expected_blocked", [0.0, 2.0, 30.0])
def test_no_value_is_near_a_boundary(size, expected_blocked):
    values, cell_bits = values_and_cells(size)
    eps = min(expected_blocked / 2 / np.exp2(cell_bits).sum(), 0.02 / np.exp2(cell_bits).max())
    found = offsets.choose(values, cell_bits, eps)
    group = np.arange(size) // (-(-size // MAX_GROUPS) * (MAX_GROUPS // found.places.size))
    # Bits of the place, reversed, are the offset in 1/128 cells.
    shift = np.array([int(f"{place:07b}"[::-1], 2) for place in found.places])[group] / OFFSETS
    in_cells = values * np.exp2(cell_bits) + shift
    assert (np.abs(in_cells - np.round(in_cells)) >= eps * np.exp2(cell_bits) - 1e-12).all()


@pytest.mark.parametrize("groups", [1, 2, 16, MAX_GROUPS])
@pytest.mark.parametrize("largest", [0, 1, 77, OFFSETS - 1])
def test_offsets_round_trip_in_the_stated_bits(groups, largest):
    sent = Offsets(np.random.default_rng(groups).integers(0, largest + 1, groups))
    copies = 50
    writer = Writer()
    for _ in range(copies):
        offsets.write(writer, sent)
    stream, _ = writer.finish()
    reader = Reader(stream)
    assert all((offsets.read(reader).places == sent.places).all() for _ in range(copies))
    # Every count is a power of two, so that only the state is added: 48 bits, of which 32 to 33 are its initial value.
    assert 8 * len(stream) - copies * sent.bits == pytest.approx(40, abs=9)


def test_chosen_offsets_take_the_fewest_bits_of_all_groupings():
    values, cell_bits = values_and_cells(12288, seed=3)
    eps = 8 / 2 / np.exp2(cell_bits).sum()
    assert offsets.choose(values, cell_bits, 0.0).bits == 4  # one group, no offset: a zero bit, and a length of 0
    # For one group a fraction of about exp(-8) of the offsets is free: more groups are needed, or take fewer bits.
    assert 4 < offsets.choose(values, cell_bits, eps).bits < 40


def test_no_fitting_offset_is_an_error():
    values, cell_bits = values_and_cells(12288)
    with pytest.raises(MarginError, match="away from all boundaries"):
        offsets.choose(values, cell_bits, 1e-3)
