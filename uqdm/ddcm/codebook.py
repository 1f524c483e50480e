"""The codebook of a step: generated in blocks, the same integers on every machine.

All tiles of an image share the codebook of a step. In tile p each word is rotated by 1021 p places, so that the noise
of the tiles differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uqdm.coding.randomness import START_BITS, codewords

_TURN = 1021
_BLOCK_NUMBERS = 1 << 20  # 6 MB as int16 and float32, in a processor's cache


def first_latents(seed: int, n_tiles: int, size: int) -> np.ndarray:
    """z_T of all tiles, float64 [n_tiles, size]."""
    return codewords(seed, 0, 0, n_tiles, size) / (1 << START_BITS)


@dataclass(frozen=True)
class Codebook:
    """The ``n_words`` words of ``size`` coordinates of step ``index``, counted from 0."""

    seed: int
    index: int
    n_words: int
    size: int

    def word(self, number: int, tile: int) -> np.ndarray:
        """A word as it is in a tile, float64 [size]; whole multiples of 2^-12."""
        (found,) = codewords(self.seed, self.index + 1, number, 1, self.size)
        return np.roll(found, tile * _TURN) / (1 << START_BITS)

    def products(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Inner products of all words with the vectors of each image, float32 [tiles, size] to [tiles, n_words].

        The words are generated once for all images. The products of an image do not depend on the others.
        """
        turned = [self._turned_back(rows) for rows in vectors]
        found = [np.empty((len(rows), self.n_words), np.float32) for rows in vectors]
        for begin, block in self._blocks():
            for rows, products in zip(turned, found, strict=True):
                products[:, begin : begin + len(block)] = rows @ block.T
        return found

    def norms(self) -> np.ndarray:
        """Euclidean norm of each word, float64 [n_words]."""
        return np.sqrt(np.concatenate([(block.astype(np.float64) ** 2).sum(axis=1) for _, block in self._blocks()]))

    def _turned_back(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([np.roll(row, -tile * _TURN) for tile, row in enumerate(rows)]).astype(np.float32)

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The number of the first word of each block, and the words as float32 [n, size]."""
        at_once = max(1, _BLOCK_NUMBERS // self.size)
        for begin in range(0, self.n_words, at_once):
            count = min(at_once, self.n_words - begin)
            block = codewords(self.seed, self.index + 1, begin, count, self.size).astype(np.float32)
            block *= 2.0**-START_BITS
            yield begin, block
