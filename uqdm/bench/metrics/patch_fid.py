"""Frechet Inception distance of patches, for a few large images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from uqdm.bench.metrics import Patches, SetMetric
from uqdm.bench.metrics.fid import LEAST, LEAST_REASON

PATCH = 64  # pixels; patch_fid_256 takes those of Mentzer et al., for images of some 2,000


def cut(image_uint8: np.ndarray, side: int = PATCH) -> Sequence[np.ndarray]:
    """Patches of an image [H, W, 3]: those of a grid from its corner, then of one shifted by half a patch both ways.

    Pixels at the right and at the bottom that do not fill a patch are left out.

    >>> len(cut(np.zeros((512, 768, 3), np.uint8)))  # 8 x 12 and 7 x 11
    173
    """
    return [
        image_uint8[top : top + side, left : left + side]
        for origin in (0, side // 2)
        for top in range(origin, image_uint8.shape[0] - side + 1, side)
        for left in range(origin, image_uint8.shape[1] - side + 1, side)
    ]


def patch_fid(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """FID of the features of patches [n, d] and [m, d], and the number of patches of the pictures, m."""
    from uqdm.bench.features.statistics import Gaussian, frechet_distance

    distance = frechet_distance(Gaussian.of(originals), Gaussian.of(pictures))
    return {"patch_fid": distance, "patch_fid_n": len(pictures)}


METRIC = SetMetric(
    name="patch_fid",
    label="Patch FID",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="as patch_fid_256, with smaller patches",
    comment=f"FID of some of the images' {PATCH}x{PATCH} patches, of two grids half a patch apart; biased for few",
    columns={"patch_fid_n": "patches that patch_fid was computed on, of all images together"},
    count="patch_fid_n",
    version=2,
    meaningful_set=LEAST,
    meaningful_reason=LEAST_REASON,
    smallest_side=2 * PATCH,
    patches=Patches(f"{PATCH}x{PATCH}, two grids half a patch apart", cut),
    compute=patch_fid,
)
