"""A run for the tests of grids: photographs of two sizes, codecs with settings, a label, and a progressive codec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_run import evaluate_here, score_here
from toy_images import MemoryImages

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.scoring.options import ScoringOptions

CODECS = [f"jpeg:quality={quality}" for quality in (5, 10, 20, 40, 80)]
CODECS += [f"webp:quality={quality},label=ours" for quality in (0, 20, 60, 95)]
CODECS += ["png", "toy-model"]


@pytest.fixture(scope="session")
def grid_run(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiles of 64 x 64 pixels, and one photograph of 160 x 192."""
    demo = open_dataset("demo", limit=10)
    images = [demo.load(index).copy() for index in range(3)]
    images.append(np.concatenate([np.concatenate([demo.load(i) for i in (3, 4, 5)], 1)] * 3)[:160].copy())
    for image in images:
        image[0, 0, 0] = 0  # no mark of the toy codecs
    run_dir, dataset = tmp_path_factory.mktemp("grid") / "run", MemoryImages(images)
    evaluate_here(run_dir, dataset, *CODECS)
    score_here(run_dir, dataset, ScoringOptions(metrics=("ssim",)))  # others take seconds
    summarize_run(run_dir)
    return run_dir
