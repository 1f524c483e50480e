"""The prior of the side information, or of the latents without a hyperprior: a row of frequencies for each channel.

The prior of a model of many rates has normal densities, with a row and a median for each level and channel. That of
CompressAI's checkpoints is the factorized prior. A checkpoint whose tables were made by ``update()`` gives these; else
they are computed here, from the cumulative function of each channel (Balle et al. 2018, appendix 6.1), in float64. The
tables are part of a model's identity, so two machines that would compute different ones refuse each other's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uqdm.coding.frequencies import Frequencies, edges_of
from uqdm.coding.logistic import TOTAL

_LAYERS = 5
_STORED_BITS = 16  # of the tables that checkpoints hold
_MAX_SIDE = 4096
"""Most symbols of a channel on either side of its median."""


@dataclass(frozen=True)
class Prior:
    """Frequencies of round(z - median).

    ``rows``, int64 [L, C], and ``medians``, float32 [L, C], have an entry for each level and channel.
    """

    frequencies: Frequencies
    rows: np.ndarray
    medians: np.ndarray


def _of_one_level(frequencies: Frequencies, medians: np.ndarray) -> Prior:
    return Prior(frequencies, np.arange(medians.size)[None], medians[None])


def prior_of(tensors: Mapping[str, np.ndarray]) -> Prior:
    """The prior of a checkpoint's entropy bottleneck; ``tensors`` are those below its name.

    Raises ValueError for tensors that are no such prior.
    """
    quantiles = tensors["quantiles"].astype(np.float32)  # (C, 1, 3): lower tail, median, upper tail
    if not np.isfinite(quantiles).all():
        raise ValueError("its quantiles are not finite")
    medians = quantiles[:, 0, 1]
    stored = tensors.get("_quantized_cdf")
    if stored is not None and stored.size:
        return _of_one_level(_stored(stored, tensors["_cdf_length"], tensors["_offset"]), medians)
    return _of_one_level(_computed(tensors, quantiles), medians)


def _stored(tables: np.ndarray, lengths: np.ndarray, offsets: np.ndarray) -> Frequencies:
    """Tables of 16 bits, whose last symbol is an escape for both sides: half of it goes to either side."""
    rows = []
    for table, length in zip(tables.astype(np.int64), lengths, strict=True):
        edges = table[: int(length) - 1] << (TOTAL.bit_length() - 1 - _STORED_BITS)
        rows.append(edges + (TOTAL - edges[-1]) // 2)
    return Frequencies.of(rows, [int(offset) for offset in offsets])


def _computed(tensors: Mapping[str, np.ndarray], quantiles: np.ndarray) -> Frequencies:
    medians = quantiles[:, 0, 1]
    below = np.clip(np.ceil(medians - quantiles[:, 0, 0]), 0, _MAX_SIDE).astype(int)
    above = np.clip(np.ceil(quantiles[:, 0, 2] - medians), 0, _MAX_SIDE).astype(int)
    medians = medians.astype(np.float64)
    rows = []
    for channel, (low, high) in enumerate(zip(below, above, strict=True)):
        borders = medians[channel] + np.arange(-low, high + 2) - 0.5
        logits = _logits(tensors, channel, borders)
        lower, upper = _sigmoid(logits), _sigmoid(-logits)  # of the smaller side, so that no digits are lost
        inside = np.where(logits[1:] < 0, lower[1:] - lower[:-1], upper[:-1] - upper[1:])
        rows.append(edges_of(np.maximum(inside, 0), lower[0], upper[-1]))
    return Frequencies.of(rows, [-int(low) for low in below])


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
