"""Guards patch FID: which patches, of which images, and that the metric declares them."""

from __future__ import annotations

import numpy as np
import pytest

from uqdm.bench.metrics.fid import fid
from uqdm.bench.metrics.patch_fid import METRIC, PATCH, cut, patch_fid
from uqdm.bench.metrics.patch_fid_256 import METRIC as METRIC_256
from uqdm.bench.metrics.patch_fid_256 import patch_fid_256


@pytest.mark.parametrize(("height", "width", "count"), [(128, 128, 5), (191, 200, 2 * 3 + 2 * 2), (512, 768, 173)])
def test_patches_of_two_grids(height: int, width: int, count: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows % 256, columns % 256, rows // 256 + columns // 256 * 16], axis=-1).astype(np.uint8)
    patches = cut(image)
    firsts = [patch[0, 0].astype(int) for patch in patches]
    corners = [(row + 256 * (high % 16), column + 256 * (high // 16)) for row, column, high in firsts]
    grids = [
        {(top, left) for top in range(start, height - 63, 64) for left in range(start, width - 63, 64)}
        for start in (0, 32)
    ]
    assert set(corners) == grids[0] | grids[1]
    assert len(patches) == len(corners) == count
    assert {patch.shape for patch in patches} == {(PATCH, PATCH, 3)}


def test_the_smallest_image_has_patches_of_both_grids() -> None:
    assert METRIC.patches is not None
    assert METRIC.smallest_side == 2 * PATCH
    assert len(METRIC.patches.cut(np.zeros((METRIC.smallest_side, METRIC.smallest_side, 3), np.uint8))) == 4 + 1


def test_patch_fid_is_the_fid_of_the_patches_and_states_their_number() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 40, 8))
    assert patch_fid(one, other) == {"patch_fid": fid(one, other)["fid"], "patch_fid_n": 40}


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (256, 256, 1),
        (383, 2040, 7),  # one side is too short for the second grid
        (384, 384, 2),
        (512, 768, 2 * 3 + 1 * 2),  # Kodak
        (1356, 2040, 5 * 7 + 4 * 7),  # most of DIV2K
        (1365, 2048, 5 * 8 + 4 * 7),  # most of the professional half of CLIC 2020
    ],
)
def test_published_patches_are_two_grids_of_256(height: int, width: int, count: int) -> None:
    assert METRIC_256.patches is not None
    patches = METRIC_256.patches.cut(np.zeros((height, width, 3), np.uint8))
    assert len(patches) == count
    assert {patch.shape for patch in patches} == {(256, 256, 3)}


def test_published_patch_fid_is_the_fid_of_the_patches_and_states_their_number() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 40, 8))
    assert patch_fid_256(one, other) == {"patch_fid_256": fid(one, other)["fid"], "patch_fid_256_n": 40}
