"""A run whose points are exchanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import measure_run
from toy_images import MemoryImages, unmarked_images

from uqdm.bench.analysis.summarize import summarize_run


@pytest.fixture(scope="session")
def run(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JPEG at four qualities, one lossless codec, and a progressive one with two kinds of pictures."""
    images = MemoryImages(unmarked_images(4))
    made = measure_run(
        tmp_path_factory.mktemp("export") / "run", images, "jpeg:quality=10|40|70|95", "png", "toy-model"
    )
    summarize_run(made)
    return made
