"""Images for the benchmarks: tiles of a model's size, cut out of any data set."""

from __future__ import annotations

import numpy as np

from uqdm.bench.datasets import open_dataset


def load_tiles(dataset: str, count: int, size: int) -> np.ndarray:
    """``count`` tiles, uint8 [count, size, size, 3], evenly spread over the whole tiles of the first images."""
    images = open_dataset(dataset, limit=count)
    found = [tile for index in range(len(images)) for tile in _whole_tiles(images.load(index), size)]
    if len(found) < count:
        raise SystemExit(f"{dataset} holds {len(found)} tiles of {size}x{size}, not {count}: ask for fewer")
    return np.stack([found[i * len(found) // count] for i in range(count)])


def _whole_tiles(image: np.ndarray, size: int) -> list[np.ndarray]:
    rows, columns = image.shape[0] // size, image.shape[1] // size
    return [
        image[row * size : (row + 1) * size, column * size : (column + 1) * size]
        for row in range(rows)
        for column in range(columns)
    ]
