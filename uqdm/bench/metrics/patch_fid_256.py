"""Frechet Inception distance of all patches of 256x256, as published for high-resolution images."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from uqdm.bench.metrics import Patches, SetMetric
from uqdm.bench.metrics.fid import LEAST, LEAST_REASON, fid
from uqdm.bench.metrics.patch_fid import cut

PATCH = 256  # pixels


def patch_fid_256(originals: np.ndarray, pictures: np.ndarray) -> Mapping[str, float]:
    """FID of the features of all patches [n, d] and [m, d], and the number of patches of the pictures, m."""
    return {"patch_fid_256": fid(originals, pictures)["fid"], "patch_fid_256_n": len(pictures)}


METRIC = SetMetric(
    name="patch_fid_256",
    label="FID/256",
    unit="",
    direction="lower",
    value_range=(0, float("inf")),
    source="Mentzer et al., NeurIPS 2020, appendix A.7",
    comment=f"FID of all {PATCH}x{PATCH} patches of the images, of two grids half a patch apart; biased for few",
    columns={"patch_fid_256_n": "patches that patch_fid_256 was computed on, of all images together"},
    count="patch_fid_256_n",
    meaningful_set=LEAST,
    meaningful_reason=LEAST_REASON,
    smallest_side=PATCH,
    patches=Patches(
        f"{PATCH}x{PATCH}, two grids half a patch apart", functools.partial(cut, side=PATCH), complete=True
    ),
    compute=patch_fid_256,
)
