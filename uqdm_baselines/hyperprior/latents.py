"""Coding of latents in integers, so that they decode to the same values on every machine.

The deviations and means of the hyperprior are floats, which differ in their last bits between machines. They are
computed in float64, where they differ by less than 2^-30, and rounded to cells: 1/8 octave for deviations, 2^-8 for
means. Almost always no value of an image is within 2^-30 of a boundary between cells. Where one is, the image is coded
again with offsets of the cells in the stream (:mod:`uqdm.coding.offsets`). Symbols then have the frequencies of a
table, and the latents are exact.

==========  =====================  ====================  ==============================================================
            symbol k               latent                probability of k
==========  =====================  ====================  ==============================================================
rounding    round(y - mean)        k + mean              Phi((k + 1/2) / s) - Phi((k - 1/2) / s)
universal   round(y - mean - u)    k + mean + u          Phi((k + u + 1/2) / s) - Phi((k + u - 1/2) / s)
==========  =====================  ====================  ==============================================================

The dither u is uniform, and both sides draw it. A latent then is y plus noise that is uniform in (-1/2, 1/2) and does
not depend on y, for any mean, and the information of k given u is that of the channel, I(y; y + U) (Sec. 3.2, Agustsson
& Theis 2020).

Images of one size are coded together, and each gets a stream of its own, which does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.coding import offsets
from uqdm.coding.ans import Reader, Writer
from uqdm.coding.frequencies import TOTAL_BITS, Frequencies
from uqdm.coding.gaussian import (
    CELL_BITS,
    DITHERS,
    MAX_OCTAVE,
    MIN_OCTAVE,
    N_ROWS,
    dither_values,
    dithered_frequencies,
    gaussian_frequencies,
)
from uqdm.coding.offsets import Offsets
from uqdm.coding.randomness import DITHER_LEVELS, dither
from uqdm.transform.contract import MIN_DEVIATION
from uqdm.transform.model import Model
from uqdm.transform.quantization import UNIVERSAL

EPS = 2.0**-30
"""Largest difference between two machines' means, or binary logarithms of deviations, that a file tolerates."""
_MEAN_CELL_BITS = 8
_FRACTION_BITS = 16
_CELL_FRACTION = CELL_BITS + offsets.OFFSET_BITS  # in which the middle of a cell of deviations is exact
_TOP = MAX_OCTAVE - 0.5 / (1 << CELL_BITS)  # larger exponents count as the middle of the last cell
_MAX_SYMBOL = 1 << 30
_SIDE_STAGE = 0  # of the dither; sections follow


@dataclass(frozen=True)
class Coding:
    """What all images that are coded together share; ``seed`` is that of the dither."""

    level: int
    seed: int
    offsets: bool
    """Whether offsets are in the stream; then there is one image."""


@dataclass(frozen=True)
class Latents:
    """Exact latents: side information z as symbols, int64 [B, N'], empty without it; y, float64 [B, M, h, w]."""

    z: np.ndarray
    y: torch.Tensor


@dataclass(frozen=True)
class Written:
    """Latents, the model's estimate of the bits of each image, and whether its values are clear of boundaries."""

    latents: Latents
    ideal_bits: np.ndarray
    clear: np.ndarray


def write(writers: Sequence[Writer], model: Model, y: torch.Tensor, z: torch.Tensor | None, coding: Coding) -> Written:
    """Writes latents y and side information z (None without a hyperprior), float32 [B, C, h, w] on the CPU.

    The streams of images that are not clear are of no use: write them with offsets. Raises ValueError for values that
    are not finite.
    """
    by_prior = y if z is None else z
    symbols, values, bits = _write_by_prior(writers, model, by_prior, coding)
    clear = np.ones(len(writers), bool)
    if z is None:
        return Written(Latents(symbols, values), bits, clear)
    densities = _Densities(model, values, coding.level)
    for index, section in enumerate(y.split(model.transforms.sections, 1)):
        means, deviations = densities.of(index)
        cells = _Cells.choose(writers, means, deviations, model, coding)
        clear &= cells.clear
        location, rows = _with_dither(model, cells, coding, index)
        symbols_here = _symbols(section.double().numpy().reshape(means.shape) - location)
        for writer, own, own_rows in zip(writers, symbols_here, rows, strict=True):
            writer.tabled(own, own_rows, _frequencies(model))
        latents = symbols_here + location
        bits += _gaussian_bits(latents - means, deviations)
        densities.add(torch.from_numpy(latents.reshape(section.shape)))
    return Written(Latents(symbols, densities.known), bits, clear)


def read(readers: Sequence[Reader], model: Model, height: int, width: int, coding: Coding) -> Latents:
    """Reads what :func:`write` wrote for latents of ``height`` x ``width``."""
    transforms = model.transforms
    if not transforms.side_channels:
        return Latents(*_read_by_prior(readers, model, (transforms.channels, height, width), coding))
    ratio = transforms.stride // transforms.latent_stride
    side_shape = (transforms.side_channels, height // ratio, width // ratio)
    z, values = _read_by_prior(readers, model, side_shape, coding)
    densities = _Densities(model, values, coding.level)
    for index, count in enumerate(transforms.sections):
        cells = _Cells.read(readers, *densities.of(index), model, coding)
        location, rows = _with_dither(model, cells, coding, index)
        pairs = zip(readers, rows, strict=True)
        symbols = np.stack([reader.tabled(own_rows, _frequencies(model)) for reader, own_rows in pairs])
        densities.add(torch.from_numpy((symbols + location).reshape(len(readers), count, height, width)))
    return Latents(z, densities.known)


class _Densities:
    """Means and deviations of the sections of the latents, from exact side information and exact latents before them.

    They are computed in float64.
    """

    def __init__(self, model: Model, side: torch.Tensor, level: int) -> None:
        self._networks = model.precise
        self._level = torch.full((side.shape[0],), level, device=model.device)
        ratio = model.transforms.stride // model.transforms.latent_stride
        height, width = side.shape[2] * ratio, side.shape[3] * ratio
        self.known = torch.zeros(side.shape[0], 0, height, width, dtype=torch.float64)
        """The latents decoded so far."""
        with torch.inference_mode():
            self._features = self._networks.features(side.double().to(model.device), self._level)

    def of(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations of a section, float64 [B, N] each."""
        earlier = self.known.to(self._features.device)
        with torch.inference_mode():
            means, deviations = self._networks.section(index, self._features, earlier, self._level)
        return means.cpu().flatten(1).numpy(), deviations.cpu().flatten(1).numpy()

    def add(self, latents: torch.Tensor) -> None:
        """Adds the latents of a section."""
        self.known = torch.cat([self.known, latents], 1)


# ---- cells of means and deviations ---------------------------------------------------------------


@dataclass(frozen=True)
class _Cells:
    """Rounded means, float64 [B, N]; rows of the table for the rounded deviations, int64 [B, N]; and what is clear."""

    means: np.ndarray
    rows: np.ndarray
    clear: np.ndarray

    @classmethod
    def choose(
        cls, writers: Sequence[Writer], means: np.ndarray, deviations: np.ndarray, model: Model, coding: Coding
    ) -> _Cells:
        """Rounded to the plain cells; or, of one image, to cells whose offsets are written."""
        exponents, means = _exponents(deviations), _bounded(means)
        if not coding.offsets:
            return cls._plain(exponents, means, model)
        (writer,) = writers
        rows = _shifted_rows(exponents, _choose_and_write(writer, exponents, CELL_BITS))
        if model.transforms.has_means:
            means = _shifted_means(means, _choose_and_write(writer, means, _MEAN_CELL_BITS))
        return cls(means, rows, np.ones(1, bool))

    @classmethod
    def read(
        cls, readers: Sequence[Reader], means: np.ndarray, deviations: np.ndarray, model: Model, coding: Coding
    ) -> _Cells:
        """The same for a reader."""
        exponents, means = _exponents(deviations), _bounded(means)
        if not coding.offsets:
            return cls._plain(exponents, means, model)
        (reader,) = readers
        rows = _shifted_rows(exponents, offsets.read(reader))
        if model.transforms.has_means:
            means = _shifted_means(means, offsets.read(reader))
        return cls(means, rows, np.ones(1, bool))

    @classmethod
    def _plain(cls, exponents: np.ndarray, means: np.ndarray, model: Model) -> _Cells:
        """Deviations between multiples of 1/8 octave, and means around multiples of 2^-8: there may be many 0."""
        clear = _clear_images(exponents, CELL_BITS, 0.0)
        rows = np.floor(np.ldexp(exponents, CELL_BITS)).astype(np.int64) - (MIN_OCTAVE << CELL_BITS)
        if model.transforms.has_means:
            clear &= _clear_images(means, _MEAN_CELL_BITS, 0.5)
            means = np.ldexp(np.rint(np.ldexp(means, _MEAN_CELL_BITS)), -_MEAN_CELL_BITS)
        return cls(means, rows, clear)


def _clear_images(values: np.ndarray, cell_bits: int, shift: float) -> np.ndarray:
    return np.array([offsets.are_clear(own, cell_bits, EPS, shift) for own in values])


def _exponents(deviations: np.ndarray) -> np.ndarray:
    """Binary logarithms of deviations, within the table; one that is not a number counts as the least."""
    bounded = np.clip(np.nan_to_num(deviations, nan=MIN_DEVIATION), MIN_DEVIATION, 2.0**MAX_OCTAVE)
    return np.minimum(np.log2(bounded), _TOP)


def _bounded(means: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(means), -_MAX_SYMBOL, _MAX_SYMBOL)


def _choose_and_write(writer: Writer, values: np.ndarray, cell_bits: int) -> Offsets:
    found = offsets.choose(values.ravel(), np.full(values.size, cell_bits), EPS)
    offsets.write(writer, found)
    return found


def _shifted_rows(exponents: np.ndarray, found: Offsets) -> np.ndarray:
    """Rows of the Gaussian table: the cell that the middle of a shifted cell is in."""
    bits = np.full(exponents.size, CELL_BITS)
    middles = offsets.round_to_cells(exponents.ravel(), bits, found, _CELL_FRACTION)
    rows = (middles >> offsets.OFFSET_BITS) - (MIN_OCTAVE << CELL_BITS)
    return np.clip(rows, 0, N_ROWS - 1).reshape(exponents.shape)


def _shifted_means(means: np.ndarray, found: Offsets) -> np.ndarray:
    cells = offsets.round_to_cells(means.ravel(), np.full(means.size, _MEAN_CELL_BITS), found, _FRACTION_BITS)
    return (cells / (1 << _FRACTION_BITS)).reshape(means.shape)


# ---- symbols ---------------------------------------------------------------------------------------


def _frequencies(model: Model) -> Frequencies:
    """The tables of sections."""
    return dithered_frequencies() if model.prior.quantization == UNIVERSAL else gaussian_frequencies()


def _with_dither(model: Model, cells: _Cells, coding: Coding, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Means plus dither, and the rows of both."""
    if model.prior.quantization != UNIVERSAL:
        return cells.means, cells.rows
    j = _dither(coding, _SIDE_STAGE + 1 + index, cells.means.shape[1])
    return cells.means + dither_values(j), cells.rows * DITHERS + j


def _dither(coding: Coding, stage: int, size: int) -> np.ndarray:
    """Indices 0..31 of the dither, the same for all images of a size."""
    return dither(coding.seed, stage, 0, size) // (DITHER_LEVELS // DITHERS)


def _symbols(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > _MAX_SYMBOL:
        raise ValueError("the network's latents of this image are not finite, or too large to be coded")
    return np.rint(values).astype(np.int64)


def _gaussian_bits(errors: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Information of each image's latents, float64 [B], by the densities as the network gives them.

    -log2 of Phi((e + 1/2) / s) - Phi((e - 1/2) / s) for latents that are e away from their means.
    """
    s = torch.from_numpy(np.maximum(deviations, MIN_DEVIATION))
    e = torch.from_numpy(np.abs(errors))
    mass = torch.special.ndtr((0.5 - e) / s) - torch.special.ndtr((-0.5 - e) / s)
    return np.asarray(-torch.log2(mass.clamp(min=2.0**-TOTAL_BITS)).sum(1))


# ---- the prior -------------------------------------------------------------------------------------


def _prior_rows_and_dither(model: Model, shape: Sequence[int], coding: Coding) -> tuple[np.ndarray, np.ndarray]:
    """Rows [N] and median plus dither, float64 [N], of values [C, h, w]."""
    area = shape[1] * shape[2]
    rows = np.repeat(model.prior.rows[coding.level], area)
    locations = np.repeat(model.prior.medians[coding.level].astype(np.float64), area)
    if model.prior.quantization != UNIVERSAL:
        return rows, locations
    j = _dither(coding, _SIDE_STAGE, rows.size)
    return rows * DITHERS + j, locations + dither_values(j)


def _write_by_prior(
    writers: Sequence[Writer], model: Model, values: torch.Tensor, coding: Coding
) -> tuple[np.ndarray, torch.Tensor, np.ndarray]:
    rows, locations = _prior_rows_and_dither(model, values.shape[1:], coding)
    symbols = _symbols(values.double().flatten(1).numpy() - locations)
    for writer, own in zip(writers, symbols, strict=True):
        writer.tabled(own, rows, model.prior.frequencies)
    bits = np.array(list(_table_bits(model, symbols, rows)))
    return symbols, torch.from_numpy((symbols + locations).reshape(values.shape)), bits


def _read_by_prior(
    readers: Sequence[Reader], model: Model, shape: Sequence[int], coding: Coding
) -> tuple[np.ndarray, torch.Tensor]:
    rows, locations = _prior_rows_and_dither(model, shape, coding)
    symbols = np.stack([reader.tabled(rows, model.prior.frequencies) for reader in readers])
    return symbols, torch.from_numpy((symbols + locations).reshape(len(readers), *shape))


def _table_bits(model: Model, symbols: np.ndarray, rows: np.ndarray) -> Iterator[float]:
    """Information of each image's symbols by the prior's tables; those in an escape count as the escape."""
    found = model.prior.frequencies
    first, last = found.starts[rows], found.starts[rows + 1] - 1
    for own in symbols:
        place = np.clip(first + own - found.firsts[rows], first, last - 1)
        slots = found.edges[place + 1] - found.edges[place]
        yield float((TOTAL_BITS - np.log2(slots)).sum())
