"""Cutting images of any size into tiles, and joining tiles."""

import numpy as np
import pytest

from uqdm.progressive import tiles


@pytest.mark.parametrize(("height", "width"), [(1, 1), (64, 64), (65, 63), (128, 200), (7, 300)])
def test_cut_tiles_join_to_the_image(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cut = tiles.cut(image, 64, range(-(-height // 64) * -(-width // 64)))
    assert (tiles.join(cut, height, width) == image).all()
    again = tiles.from_coordinates(tiles.to_coordinates(cut), 64)
    assert (again == cut).all()


def test_padding_repeats_the_last_pixels():
    image = np.arange(3 * 2 * 3, dtype=np.uint8).reshape(3, 2, 3)
    (tile,) = tiles.cut(image, 4, [0])
    assert (tile[:3, 3] == image[:, 1]).all()
    assert (tile[3, :2] == image[2]).all()
