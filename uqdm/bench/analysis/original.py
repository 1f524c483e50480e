"""Reads one original image of a run's data set, and checks that it is the one that was evaluated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from uqdm.bench.datasets import open_dataset
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.picture_hash import picture_sha256


def read_original(
    dataset: Mapping[str, Any], index: int, image_id: str, measured_sha256: Collection[str]
) -> np.ndarray:
    """The image, uint8 [H, W, 3]; ``dataset`` is what a manifest says of the data set.

    ``measured_sha256`` is the image's hash in the rows. Where these have none, an older release
    wrote them, and all images of the data set are read to compare its fingerprint. Raises
    :class:`~uqdm.bench.run.errors.ResultsError` for another image than the evaluated one, and
    OSError, ValueError or LookupError where the data set does not open.
    """
    spec = dataset["spec"]
    if measured_sha256:
        image_uint8 = _single_image(spec, index, image_id)
        if {picture_sha256(image_uint8)} != set(measured_sha256):
            raise ResultsError(f"{image_id} in {spec} is not the image that was evaluated")
        return image_uint8
    images = open_dataset(spec, dataset["n_images"])
    if images.fingerprint != dataset["fingerprint"]:
        raise ResultsError(f"{spec} is not what was evaluated any more")
    return images.load(index)


def _single_image(spec: str, index: int, image_id: str) -> np.ndarray:
    """One image of a data set, none of whose others is read; found by its name where images came or went."""
    dataset = open_dataset(spec, index + 1, check=False)
    if len(dataset) <= index or dataset.ids[index] != image_id:
        dataset = open_dataset(spec, check=False)
        if image_id not in dataset.ids:
            raise ResultsError(f"{spec} holds no image {image_id} any more")
        index = dataset.ids.index(image_id)
    return dataset.load(index)
