"""Coding of latents in integers, so that they decode to the same values on every machine.

The deviations and means of the hyperprior are floats, which differ in their last bits between machines. They are
computed in float64, where they differ by less than 2^-30, and rounded to cells with boundaries that the encoder keeps
2^-30 away from every value (:mod:`uqdm.coding.offsets`): 1/8 octave for deviations, 2^-8 for means. The symbols
round(y - mean) then have the frequencies of a table, and the latents symbol + mean are exact.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch

from uqdm.coding import offsets
from uqdm.coding.ans import DamagedStreamError, Reader, Writer
from uqdm.coding.gaussian import CELL_BITS, MAX_OCTAVE, MIN_OCTAVE, N_ROWS, gaussian_frequencies
from uqdm.coding.offsets import Offsets
from uqdm.transform.contract import MIN_DEVIATION
from uqdm.transform.model import Model

EPS = 2.0**-30
"""Largest difference between two machines' means, or binary logarithms of deviations, that a file tolerates."""
_MEAN_CELL_BITS = 8
_FRACTION_BITS = 16
_CELL_FRACTION = CELL_BITS + offsets.OFFSET_BITS  # in which the middle of a cell of deviations is exact
_MAX_SYMBOL = 1 << 30


@dataclass(frozen=True)
class Latents:
    """What a file's synthesis needs: y, float32 [1, M, h, w]; and the model's estimate of its bits."""

    y: torch.Tensor
    ideal_bits: float | None = None


def write(writer: Writer, model: Model, y: torch.Tensor, z: torch.Tensor | None, level: int) -> tuple[Latents, int]:
    """Writes latents y and side information z (None without a hyperprior), float32 [1, C, h, w] on the CPU.

    Returns the latents that a reader will get, and the check value of all symbols. Raises ValueError for values that
    are not finite.
    """
    if z is None:
        symbols, bits = _write_by_prior(writer, model, y, level)
        return Latents(_values_by_prior(model, symbols, y.shape, level), bits), _check(symbols)
    side, bits = _write_by_prior(writer, model, z, level)
    densities = _Densities(model, _values_by_prior(model, side, z.shape, level), level)
    parts = [side]
    for index, values in enumerate(y.split(model.transforms.sections, 1)):
        means, deviations = densities.of(index)
        exponents = _exponents(deviations)
        rows = _rows(exponents, _choose_and_write(writer, exponents, CELL_BITS))
        mean = np.zeros(means.size)
        if model.transforms.has_means:
            mean = _round_means(means, _choose_and_write(writer, means, _MEAN_CELL_BITS))
        symbols = _symbols(values.double().numpy().ravel() - mean)
        writer.tabled(symbols, rows, gaussian_frequencies())
        bits += _gaussian_bits(symbols, deviations)
        densities.add(_latents(symbols, mean, values.shape))
        parts.append(symbols)
    return Latents(densities.known.float(), bits), _check(*parts)


def read(reader: Reader, model: Model, height: int, width: int, level: int) -> tuple[Latents, int]:
    """Reads what :func:`write` wrote for latents of ``height`` x ``width``; with the check value of what was read."""
    transforms = model.transforms
    if not transforms.side_channels:
        shape = (1, transforms.channels, height, width)
        symbols = reader.tabled(_channel_rows(model, shape, level), model.prior.frequencies)
        return Latents(_values_by_prior(model, symbols, shape, level)), _check(symbols)
    ratio = transforms.stride // transforms.latent_stride
    side_shape = (1, transforms.side_channels, height // ratio, width // ratio)
    side = reader.tabled(_channel_rows(model, side_shape, level), model.prior.frequencies)
    densities = _Densities(model, _values_by_prior(model, side, side_shape, level), level)
    parts = [side]
    for index, count in enumerate(transforms.sections):
        means, deviations = densities.of(index)
        rows = _rows(_exponents(deviations), offsets.read(reader))
        mean = np.zeros(means.size)
        if transforms.has_means:
            mean = _round_means(means, offsets.read(reader))
        symbols = reader.tabled(rows, gaussian_frequencies())
        densities.add(_latents(symbols, mean, (1, count, height, width)))
        parts.append(symbols)
    return Latents(densities.known.float()), _check(*parts)


class _Densities:
    """Means and deviations of the sections of the latents, from exact side information and exact latents before them.

    They are computed in float64.
    """

    def __init__(self, model: Model, side: torch.Tensor, level: int) -> None:
        self._networks, self._level = model.densities, torch.tensor([level], device=model.device)
        ratio = model.transforms.stride // model.transforms.latent_stride
        self.known = torch.zeros(1, 0, side.shape[2] * ratio, side.shape[3] * ratio, dtype=torch.float64)
        """The latents decoded so far."""
        with torch.inference_mode():
            self._features = self._networks.features(side.double().to(model.device), self._level)

    def of(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations of a section, float64 [N] each."""
        earlier = self.known.to(self._features.device)
        with torch.inference_mode():
            means, deviations = self._networks.section(index, self._features, earlier, self._level)
        return means.cpu().numpy().ravel(), deviations.cpu().numpy().ravel()

    def add(self, latents: torch.Tensor) -> None:
        """Adds the latents of a section."""
        self.known = torch.cat([self.known, latents], 1)


# ---- the prior -----------------------------------------------------------------------------------


def _channel_rows(model: Model, shape: tuple[int, ...] | torch.Size, level: int) -> np.ndarray:
    return np.repeat(model.prior.rows[level], shape[2] * shape[3])


def _medians(model: Model, level: int) -> torch.Tensor:
    return torch.from_numpy(model.prior.medians[level])[None, :, None, None]


def _write_by_prior(writer: Writer, model: Model, values: torch.Tensor, level: int) -> tuple[np.ndarray, float]:
    symbols = _symbols((values - _medians(model, level)).double().numpy().ravel())
    rows = _channel_rows(model, values.shape, level)
    writer.tabled(symbols, rows, model.prior.frequencies)
    return symbols, _table_bits(model, symbols, rows)


def _table_bits(model: Model, symbols: np.ndarray, rows: np.ndarray) -> float:
    """Information of symbols by the prior's tables; those in an escape count as the escape."""
    found = model.prior.frequencies
    last = found.starts[rows + 1] - 1
    place = np.clip(found.starts[rows] + symbols - found.firsts[rows], found.starts[rows], last - 1)
    slots = found.edges[place + 1] - found.edges[place]
    return float((24 - np.log2(slots)).sum())


def _values_by_prior(
    model: Model, symbols: np.ndarray, shape: tuple[int, ...] | torch.Size, level: int
) -> torch.Tensor:
    return torch.from_numpy(symbols.reshape(shape)).float() + _medians(model, level)


# ---- the densities -----------------------------------------------------------------------------------------


def _exponents(deviations: np.ndarray) -> np.ndarray:
    """Binary logarithms of deviations, within the table; one that is not a number counts as the least."""
    bounded = np.clip(np.nan_to_num(deviations, nan=MIN_DEVIATION), MIN_DEVIATION, 2.0**MAX_OCTAVE)
    return np.asarray(np.log2(bounded))


def _choose_and_write(writer: Writer, values: np.ndarray, cell_bits: int) -> Offsets:
    found = offsets.choose(values, np.full(values.size, cell_bits), EPS)
    offsets.write(writer, found)
    return found


def _rows(exponents: np.ndarray, found: Offsets) -> np.ndarray:
    """Rows of the Gaussian table: the cell that the middle of a shifted cell is in."""
    middles = offsets.round_to_cells(exponents, np.full(exponents.size, CELL_BITS), found, _CELL_FRACTION)
    return np.clip((middles >> offsets.OFFSET_BITS) - (MIN_OCTAVE << CELL_BITS), 0, N_ROWS - 1)


def _round_means(means: np.ndarray, found: Offsets) -> np.ndarray:
    bounded = np.clip(np.nan_to_num(means), -_MAX_SYMBOL, _MAX_SYMBOL)
    cells = offsets.round_to_cells(bounded, np.full(means.size, _MEAN_CELL_BITS), found, _FRACTION_BITS)
    return cells / (1 << _FRACTION_BITS)


def _symbols(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > _MAX_SYMBOL:
        raise ValueError("the network's latents of this image are not finite, or too large to be coded")
    return np.rint(values).astype(np.int64)


def _latents(symbols: np.ndarray, mean: np.ndarray, shape: tuple[int, ...] | torch.Size) -> torch.Tensor:
    return torch.from_numpy((symbols + mean).reshape(shape))


def _gaussian_bits(symbols: np.ndarray, deviations: np.ndarray) -> float:
    """-log2 of Phi((|k| + 1/2) / s) - Phi((|k| - 1/2) / s), with the deviations as the network gives them."""
    s, k = torch.from_numpy(np.maximum(deviations, MIN_DEVIATION)), torch.from_numpy(np.abs(symbols)).double()
    mass = torch.special.ndtr((0.5 - k) / s) - torch.special.ndtr((-0.5 - k) / s)
    return float(-torch.log2(mass.clamp(min=2.0**-24)).sum())


def _check(*symbols: np.ndarray) -> int:
    found = 0
    for part in symbols:
        found = zlib.crc32(part.astype("<i8").tobytes(), found)
    return found


__all__ = ["DamagedStreamError", "Latents", "read", "write"]
