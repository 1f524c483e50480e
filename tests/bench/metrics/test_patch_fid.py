"""Guards patch FID: which patches, of which images, and that the metric declares them."""

from __future__ import annotations

import numpy as np
import pytest

from uqdm.bench.metrics.fid import fid
from uqdm.bench.metrics.patch_fid import METRIC, PATCH, cut, patch_fid


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
