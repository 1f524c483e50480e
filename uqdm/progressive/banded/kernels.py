"""Compiled loops over the coordinates of a section: rounding of outputs, symbols of data, and latents.

Rounding is that of :mod:`uqdm.progressive.banded.rounding`: values are floored in cells that the tile's shift moves,
and a value within ``EPS`` of a boundary makes the tile not clear.
"""

from __future__ import annotations

import math

import numpy as np

from uqdm.banded.schedule import CELLS_PER_OCTAVE, SENT_FROM
from uqdm.coding.logistic import LOCATION_BITS, MAX_SCALE, MIN_SCALE, SCALE_BITS
from uqdm.coding.randomness import DITHER_LEVELS
from uqdm.compiled import njit
from uqdm.progressive.banded.rounding import EPS, SHIFT_UNITS

MEAN_CELLS = 64
"""Cells of means in a bin."""
# Limits lie in the middle of cells, since many values may be at them.
LEAST_EXPONENT, GREATEST_EXPONENT = -16 + 0.5 / CELLS_PER_OCTAVE, 12 - 0.5 / CELLS_PER_OCTAVE  # octaves
GREATEST_MEAN = 2.0**20 + 0.5 / MEAN_CELLS  # bins
_LOG2E = 1 / math.log(2)
_SCALE_UNIT = (1 << SCALE_BITS) // CELLS_PER_OCTAVE
_MEAN_UNIT = (1 << LOCATION_BITS) // MEAN_CELLS
_DITHER_UNIT = 1 << (LOCATION_BITS - 9)  # of w = (2 j + 1) / 512 in a location


@njit(cache=True)
def _cell(value: float, cells: int, shift: int) -> tuple[int, bool]:
    """The cell of a value, and whether it is clear of boundaries."""
    scaled = value * cells + shift / SHIFT_UNITS
    return math.floor(scaled), abs(scaled - np.rint(scaled)) > EPS * cells


@njit(cache=True)
def _middle(cell: int, unit: int, shift: int) -> int:
    """The middle of a cell of ``unit`` units."""
    return cell * unit + unit // 2 - shift * unit // SHIFT_UNITS


@njit(cache=True)
def _within(value: float, low: float, high: float) -> float:
    # A NaN must not reach a conversion to integers, whose result differs between machines.
    return 0.0 if np.isnan(value) else min(max(value, low), high)


@njit(cache=True, nogil=True)
def band_outputs(  # type: ignore[no-untyped-def]
    mean, log_deviation, centre, spread, z, last, j, blocks, x_weights, widths, offsets, log2_sigma, shift
):
    """Of a section of a tile: places of the coordinates that are sent, locations and scales, and the same unrounded.

    Arrays are flat, float64 [N] and int64 [N]; ``blocks`` bool [h w] are those of the section. Constants are by the
    step that a coordinate was last sent in. Unrounded are the location without dither and the deviation, in bins.
    """
    n = mean.size
    places, locations, scales = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    exact, deviations = np.empty(n), np.empty(n)
    count, clear = 0, True
    for i in range(n):
        if not blocks[i % blocks.size]:
            continue
        exponent = _within(
            math.log2(spread[i]) + log_deviation[i] * _LOG2E - log2_sigma, LEAST_EXPONENT, GREATEST_EXPONENT
        )
        cell, fine = _cell(exponent, CELLS_PER_OCTAVE, shift)
        clear &= fine
        if cell < SENT_FROM:
            continue
        e, width = x_weights[last[i]], widths[last[i]]
        location = (1 - e) * z[i] / width + e * (centre[i] + spread[i] * mean[i]) / width
        location = _within(location, -GREATEST_MEAN, GREATEST_MEAN)
        mean_cell, fine = _cell(location, MEAN_CELLS, shift)
        clear &= fine
        places[count] = i
        locations[count] = _middle(mean_cell, _MEAN_UNIT, shift) + (2 * j[i] + 1) * _DITHER_UNIT
        scale = _middle(cell, _SCALE_UNIT, shift) + offsets[last[i]]
        scales[count] = min(max(scale, MIN_SCALE), MAX_SCALE)
        exact[count] = location
        deviations[count] = 2.0 ** (exponent + log2_sigma) * e / width
        count += 1
    return places[:count], locations[:count], scales[:count], exact[:count], deviations[:count], clear


@njit(cache=True, nogil=True)
def band_symbols(x, z, last, j, places, x_weights, widths):  # type: ignore[no-untyped-def]
    """Symbols of data at the places that are sent: floor(((1 - e) z_t + e x) / D + w)."""
    found = np.empty(places.size, np.int64)
    for n in range(places.size):
        i = places[n]
        e, width = x_weights[last[i]], widths[last[i]]
        w = (2 * j[i] + 1) / (2 * DITHER_LEVELS)
        found[n] = math.floor((1 - e) * z[i] / width + e * x[i] / width + w)
    return found


@njit(cache=True, nogil=True)
def band_latents(symbols, z, last, j, places, centre, spread, x_weights, widths, n_s, done, number, residuals):  # type: ignore[no-untyped-def]
    """Sets latents, last steps and residuals of the places that are sent, in flat arrays of the section."""
    for n in range(places.size):
        i = places[n]
        e, width = x_weights[last[i]], widths[last[i]]
        w = (2 * j[i] + 1) / (2 * DITHER_LEVELS)
        n_s[i] = (symbols[n] + 0.5 - w) * width
        done[i] = number
        reach = width / e
        told = (n_s[i] - (1 - e) * z[i]) / e
        residuals[i] = (told - centre[i]) / math.sqrt(spread[i] * spread[i] + reach * reach / 12)


@njit(cache=True, nogil=True)
def late_outputs(mean, log_deviation, centre, added, unit, width, log2_scale, shift):  # type: ignore[no-untyped-def]
    """Locations and scales of a section of a late step, and the same unrounded; all flat.

    ``centre`` is in levels from 0 on, ``added`` the shift of the bins, which are ``width`` levels wide.
    """
    n = mean.size
    locations, scales = np.empty(n, np.int64), np.empty(n, np.int64)
    exact, exponents = np.empty(n), np.empty(n)
    clear = True
    for i in range(n):
        location = (centre[i] + unit * mean[i] + added[i]) / width
        exact[i] = _within(location, -GREATEST_MEAN, GREATEST_MEAN)
        exponents[i] = _within(log2_scale + log_deviation[i] * _LOG2E, LEAST_EXPONENT, GREATEST_EXPONENT)
        mean_cell, fine = _cell(exact[i], MEAN_CELLS, shift)
        cell, also_fine = _cell(exponents[i], CELLS_PER_OCTAVE, shift)
        clear &= fine and also_fine
        locations[i] = _middle(mean_cell, _MEAN_UNIT, shift)
        scales[i] = min(max(_middle(cell, _SCALE_UNIT, shift), MIN_SCALE), MAX_SCALE)
    return locations, scales, exact, exponents, clear
