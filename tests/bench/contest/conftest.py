"""A run for the tests of contests: classic codecs under own names, and a progressive one with three pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import CODED_SLOPE, small_codec
from small_run import evaluate_here, score_here
from toy_images import MemoryImages

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.scoring.options import ScoringOptions

N_IMAGES = 3


@pytest.fixture(scope="session")
def contest_run(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of 24 x 32 pixels. `small` is a diffusion model of random weights, at high rates."""
    folder = tmp_path_factory.mktemp("contest")
    small_codec(folder / "model", CODED_SLOPE)
    demo = open_dataset("demo", limit=N_IMAGES)
    images = [demo.load(index)[:24, :32].copy() for index in range(N_IMAGES)]
    for image in images:
        image[0, 0, 0] = 0  # no mark of the toy codecs
    codecs = [f"jpeg:quality={quality},label=first" for quality in (5, 20, 60, 90)]
    codecs += [f"webp:quality={quality},label=second & third" for quality in (0, 50, 95)]
    codecs += [f"uqdm:model={folder / 'model'},reconstruct=all,label=small", "toy-absent:drop=0"]
    run_dir, dataset = folder / "run", MemoryImages(images)
    evaluate_here(run_dir, dataset, *codecs)
    score_here(run_dir, dataset, ScoringOptions(metrics=("ssim",)))  # others take seconds
    summarize_run(run_dir)
    return run_dir
