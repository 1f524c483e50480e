"""Original images: a failed read is tried again, and affects only its own image."""

import numpy as np
import pytest
from toy_images import MemoryImages

from uqdm.bench.evaluation import original_images
from uqdm.bench.evaluation.original_images import Unreadable, read_originals


def test_an_unreadable_image_is_tried_again_and_affects_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(original_images, "_PAUSE_SECONDS", 0)
    dataset = MemoryImages([np.full((8, 8, 3), index, np.uint8) for index in range(3)])
    tries = {1: 0, 2: 0}
    load = dataset.load

    def flaky(index: int) -> np.ndarray:
        if index in tries:
            tries[index] += 1
            if index == 1 or tries[index] == 1:
                raise OSError(f"image {index} is away")
        return load(index)

    monkeypatch.setattr(dataset, "load", flaky)
    first, second, third = read_originals(dataset, range(3))
    assert isinstance(first, np.ndarray)
    assert second == Unreadable("cannot be read: OSError: image 1 is away")
    assert isinstance(third, np.ndarray)
    assert tries == {1: 3, 2: 2}
