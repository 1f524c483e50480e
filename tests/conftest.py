"""Fixtures that many tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.datasets import open_dataset


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
