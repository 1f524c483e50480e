"""Random directions in the space of small patches, and where the patches of a picture lie.

Projections of patches are samples of one dimension each, whose distributions two sets of pictures can be compared by
(:mod:`uqdm.bench.metrics.sliced_w2`). Imports no torch.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

SIDE = 8  # pixels of a patch
GRID = 4  # patches across a picture, and down
N_PATCHES = GRID**2
N_DIRECTIONS = 200
SEED = 0

_FORM = "1"  # version of the directions, of the places and of the order of features


@functools.cache
def directions() -> np.ndarray:
    """Directions of unit length, uniform on the sphere: float32 [3 x SIDE x SIDE, N_DIRECTIONS], channels first.

    >>> np.linalg.norm(directions(), axis=0).round(5).min().item(), directions().shape
    (1.0, (192, 200))
    """
    drawn = np.random.default_rng(SEED).standard_normal((3 * SIDE**2, N_DIRECTIONS))
    found: np.ndarray = (drawn / np.linalg.norm(drawn, axis=0)).astype(np.float32)
    return found


def places(length: int) -> list[int]:
    """First pixels of the patches along a side of ``length``, evenly spread, both ends included.

    Raises ValueError for a side that is shorter than a patch.

    >>> places(64), places(8)
    ([0, 18, 37, 56], [0, 0, 0, 0])
    """
    if length < SIDE:
        raise ValueError(f"a side of {length} px is under the {SIDE} px of a patch")
    return [index * (length - SIDE) // (GRID - 1) for index in range(GRID)]


@functools.cache
def digest() -> str:
    """Hash of all that defines the projections."""
    # Rounded: libraries of other machines may differ in the last bits.
    drawn = np.rint(10_000 * directions()).astype("<i4").tobytes()
    return hashlib.sha256(f"patch projections {_FORM} {SIDE} {GRID} ".encode() + drawn).hexdigest()
