"""The prior of the side information, or of the latents without a hyperprior: a row of frequencies for each channel.

The prior of a model of many rates has normal densities, with a row and a median for each level and channel. That of
CompressAI's checkpoints is the factorized prior. A checkpoint whose tables were made by ``update()`` gives these; else
they are computed here, from the cumulative function of each channel (Balle et al. 2018, appendix 6.1), in float64. The
tables are part of a model's identity, so two machines that would compute different ones refuse each other's files.

A prior for universal quantization has a row for each dither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uqdm.coding.frequencies import TOTAL, Frequencies, edges_of
from uqdm.coding.gaussian import DITHERS, N_ROWS, dither_values, dithered_frequencies, gaussian_frequencies
from uqdm.transform.quantization import ROUNDING, UNIVERSAL

MEDIAN_UNIT = 256
"""Medians of a model of many rates are multiples of 1 / 256."""

_LAYERS = 5
_STORED_BITS = 16  # of the tables that checkpoints hold
_MAX_SIDE = 4096
"""Most symbols of a channel on either side of its median."""


@dataclass(frozen=True)
class Prior:
    """Frequencies of round(z - median), or of round(z - median - u) for a dither u.

    ``rows``, int64 [L, C], and ``medians``, float32 [L, C], have an entry for each level and channel. With dithers, a
    row stands for 32 rows of ``frequencies``: row 32 r + j is that of dither j.
    """

    quantization: str
    frequencies: Frequencies
    rows: np.ndarray
    medians: np.ndarray


def normal_prior(rows: np.ndarray, medians: np.ndarray, quantization: str = ROUNDING) -> Prior:
    """The prior of integers [L, C]: rows of the table of normal distributions, and medians in units of 1 / 256.

    Raises ValueError for rows that the table does not have.
    """
    if int(rows.max(initial=0)) >= N_ROWS:
        raise ValueError(f"holds {int(rows.max())}; rows are below {N_ROWS}")
    frequencies = dithered_frequencies() if quantization == UNIVERSAL else gaussian_frequencies()
    return Prior(quantization, frequencies, rows.astype(np.int64), medians.astype(np.float32) / MEDIAN_UNIT)


def prior_of(tensors: Mapping[str, np.ndarray], quantization: str = ROUNDING) -> Prior:
    """The prior of a checkpoint's entropy bottleneck; ``tensors`` are those below its name.

    Raises ValueError for tensors that are no such prior.
    """
    quantiles = tensors["quantiles"].astype(np.float32)  # (C, 1, 3): lower tail, median, upper tail
    if not np.isfinite(quantiles).all():
        raise ValueError("its quantiles are not finite")
    medians = quantiles[:, 0, 1]
    stored = tensors.get("_quantized_cdf")
    if quantization == UNIVERSAL:
        frequencies = _computed(tensors, quantiles, dither_values(np.arange(DITHERS)))
    elif stored is not None and stored.size:
        frequencies = _stored(stored, tensors["_cdf_length"], tensors["_offset"])
    else:
        frequencies = _computed(tensors, quantiles, np.zeros(1))
    return Prior(quantization, frequencies, np.arange(medians.size)[None], medians[None])


def _stored(tables: np.ndarray, lengths: np.ndarray, offsets: np.ndarray) -> Frequencies:
    """Tables of 16 bits, whose last symbol is an escape for both sides: half of it goes to either side."""
    rows = []
    for table, length in zip(tables.astype(np.int64), lengths, strict=True):
        edges = table[: int(length) - 1] << (TOTAL.bit_length() - 1 - _STORED_BITS)
        rows.append(edges + (TOTAL - edges[-1]) // 2)
    return Frequencies.of(rows, [int(offset) for offset in offsets])


def _computed(tensors: Mapping[str, np.ndarray], quantiles: np.ndarray, dithers: np.ndarray) -> Frequencies:
    """A row for each channel and dither."""
    medians = quantiles[:, 0, 1]
    below = np.clip(np.ceil(medians - quantiles[:, 0, 0]), 0, _MAX_SIDE).astype(int)
    above = np.clip(np.ceil(quantiles[:, 0, 2] - medians), 0, _MAX_SIDE).astype(int)
    medians = medians.astype(np.float64)
    rows, firsts = [], []
    for channel, (low, high) in enumerate(zip(below, above, strict=True)):
        for dither in dithers:
            rows.append(_row(tensors, channel, medians[channel] + dither + np.arange(-low, high + 2) - 0.5))
            firsts.append(-int(low))
    return Frequencies.of(rows, firsts)


def _row(tensors: Mapping[str, np.ndarray], channel: int, borders: np.ndarray) -> np.ndarray:
    """Edges of the symbols between borders."""
    logits = _logits(tensors, channel, borders)
    lower, upper = _sigmoid(logits), _sigmoid(-logits)  # of the smaller side, so that no digits are lost
    inside = np.where(logits[1:] < 0, lower[1:] - lower[:-1], upper[:-1] - upper[1:])
    return edges_of(np.maximum(inside, 0), lower[0], upper[-1])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))


def _logits(tensors: Mapping[str, np.ndarray], channel: int, values: np.ndarray) -> np.ndarray:
    """Logit of the cumulative function of a channel, at values [K]."""
    hidden = values[None]  # (1, K)
    for layer in range(_LAYERS):
        matrix, bias = (tensors[f"{name}{layer}"][channel].astype(np.float64) for name in ("_matrix", "_bias"))
        hidden = np.logaddexp(0, matrix) @ hidden + bias
        if layer < _LAYERS - 1:
            hidden += np.tanh(tensors[f"_factor{layer}"][channel].astype(np.float64)) * np.tanh(hidden)
    return np.asarray(hidden[0])
