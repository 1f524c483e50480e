"""Integer quantization is universal quantization, and windows are exactly the levels of a symbol."""

import numpy as np
import pytest
from scipy import stats

from uqdm.coding.lattice import START_UNIT, UNITS, LatticeStep
from uqdm.coding.randomness import dither, start
from uqdm.model.schedule import Schedule


def lattices(slope):
    steps = Schedule(slope, 6.0, 4).steps()
    made = []
    for step in steps:
        unit = made[-1].unit if made else START_UNIT
        made.append(LatticeStep.make(unit, step.z_weight, step.x_weight, step.width))
    return steps, made


@pytest.mark.parametrize("slope", [17.9658203125, 18.21])
def test_latents_follow_the_forward_kernel(slope):
    steps, made = lattices(slope)
    size = 50_000
    levels = np.random.default_rng(0).integers(0, 256, size)
    x, n_t, unit = (2 * levels + 1) / 256 - 1, start(0, size), START_UNIT
    for step, lattice in zip(steps, made, strict=True):
        j = dither(0, step.index + 1, 0, size)
        n_s = lattice.latent(lattice.quantize(n_t, levels, j), j)
        mean = step.z_weight * n_t * unit + step.x_weight * x
        noise = (n_s * lattice.unit - mean) / step.width
        # Uniform in (-1/2, 1/2); the lattice's half unit is 1/1024 of it, the constants' rounding far below.
        assert np.abs(noise).max() <= 0.5 + 1e-6
        assert stats.kstest(noise + 0.5, "uniform").pvalue > 1e-3
        n_t, unit = n_s, lattice.unit


@pytest.mark.parametrize(("slope", "free"), [(17.9658203125, False), (18.21, True), (19.0, True), (16.0, False)])
def test_window_is_exactly_the_levels_of_the_symbol(slope, free):
    _, made = lattices(slope)
    size = 3000
    levels = np.random.default_rng(1).integers(0, 256, size)
    levels[:50], levels[50:100] = 0, 255  # windows at the ends of the range are cut off
    n_t = start(0, size)
    for index, lattice in enumerate(made):
        j = dither(0, index + 1, 0, size)
        symbols = lattice.quantize(n_t, levels, j)
        first, counts = lattice.window(n_t, symbols, j)
        if index == len(made) - 1:
            every = np.arange(256)[:, None]
            fits = lattice.quantize(n_t, every, j) == symbols
            assert (fits.sum(0) == counts).all()
            assert (fits.argmax(0) == first).all()
            assert lattice.window_is_free == free
            assert not free or (counts == 1).all()
        n_t = lattice.latent(symbols, j)


@pytest.mark.parametrize("slope", [16.0, 18.21, 19.0])
def test_narrowed_windows_are_exactly_the_possible_levels_and_bound_the_symbols(slope):
    _, made = lattices(slope)
    size = 3000
    levels = np.random.default_rng(1).integers(0, 256, size)
    levels[:50], levels[50:100] = 0, 255
    n_t, first, last = start(0, size), np.zeros(size, np.int64), np.full(size, 255)
    every, fits = np.arange(256)[:, None], np.ones((256, size), bool)
    for index, lattice in enumerate(made):
        j = dither(0, index + 1, 0, size)
        symbols = lattice.quantize(n_t, levels, j)
        bounds = lattice.bounds(n_t, first, last, j)
        possible = np.where(fits, lattice.quantize(n_t, every, j), symbols)
        assert (possible.min(0) == bounds.first).all()
        assert (possible.max(0) == bounds.last).all()
        # A mean is in its symbol's bin; the bounds are half a level (a level is 2 b / 2^41 bins) beyond the first and
        # the last. Fixed-point numbers are rounded down.
        half_level = lattice.b / 2**41 * 65536
        assert (bounds.low <= (bounds.first + 1 << 16) - half_level + 1).all()
        assert (bounds.high >= (bounds.last << 16) + half_level - 1).all()
        assert np.abs(bounds.high - bounds.low - 2 * half_level * (last - first + 1)).max() <= 1
        fits &= lattice.quantize(n_t, every, j) == symbols
        first, last = lattice.narrow(n_t, symbols, j, first, last)
        assert (fits.argmax(0) == first).all()
        assert (fits.sum(0) == last - first + 1).all()
        n_t = lattice.latent(symbols, j)


def test_location_of_a_perfect_prediction_is_in_the_symbols_bin():
    _, made = lattices(18.21)
    size = 1000
    n_t, j, levels = start(0, size), dither(0, 1, 0, size), np.full(size, 77)
    mean_bins = made[0].b * (2 * levels - 255) / 2**32 / UNITS
    location = made[0].known_location(n_t, j) / 65536 + mean_bins
    # A perfect prediction puts the location in the symbol's bin, up to rounding to 2^-16 bins.
    inside = location - made[0].quantize(n_t, levels, j)
    assert inside.min() >= -(2.0**-15)
    assert inside.max() <= 1 + 2.0**-15
