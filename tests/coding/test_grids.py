"""Grids: outputs that differ by less than the tolerance round to the same integers."""

import numpy as np
import pytest

from uqdm.coding import grids
from uqdm.coding.ans import Reader, Writer


def outputs(size, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 30, size), rng.normal(-1.5, 2.0, size)


@pytest.mark.parametrize("size", [1, 2, 7, 48, 12288])
@pytest.mark.parametrize("eps", [grids.Tolerance(1e-4, 5e-5), grids.Tolerance(1e-9, 1e-9)])
def test_decoder_within_the_tolerance_gets_the_same_cells(size, eps):
    means, scales = outputs(size)
    writer = Writer()
    written = grids.write(writer, means, scales, eps)
    stream, _ = writer.finish()
    rng = np.random.default_rng(1)
    for _ in range(20):  # each at the limit of the tolerance
        other = means + 0.999 * eps.mean_bins * rng.choice([-1, 1], size)
        other_scales = scales + 0.999 * eps.scale_octaves * rng.choice([-1, 1], size)
        read = grids.read(Reader(stream), size).round(other, other_scales)
        assert (read.mean == written.mean).all()
        assert (read.scale == written.scale).all()


def test_rounding_error_is_at_most_half_a_cell():
    means, scales = outputs(5000)
    writer = Writer()
    cells = grids.write(writer, means, scales, grids.Tolerance(1e-6, 1e-6))
    assert np.abs(cells.scale / 2048 - scales.clip(-11.8, 7.8)).max() <= 1 / 16 + 1 / 2048
    # The coarsest cells of means are a quarter of a bin for scales of 1/2 to 1, in proportion to s^(1/3) for smaller
    # scales and to s^(2/3) for larger ones.
    octave = cells.scale // 2048
    cell_bits = np.where(octave < -1, 2 + -octave // 3, 2 - (2 * octave + 3) // 3)
    assert (np.abs(cells.mean / 65536 - means) <= 2.0**-cell_bits * (0.5 + 1 / 128)).all()


def test_no_fitting_offset_is_an_error():
    means, scales = outputs(12288)
    with pytest.raises(grids.MarginError):
        grids.write(Writer(), means, scales, grids.Tolerance(0.05, 1e-6))


def test_outputs_that_are_not_finite_become_finite():
    bad = np.array([np.nan, np.inf, -np.inf, 0.0])
    cells = grids.write(Writer(), bad, bad, grids.Tolerance(1e-6, 1e-6))
    assert np.abs(cells.mean).max() < 2**40
    assert ((cells.scale >= -12 * 2048) & (cells.scale < 8 * 2048)).all()
