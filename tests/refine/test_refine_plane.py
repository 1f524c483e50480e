"""A second stage from its mean to its sample: mixtures, their place on the plane, and their plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_refine import PICTURE, refine_folder
from small_run import evaluate_here, score_here

from uqdm.bench.analysis.plane import make_plane
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.plots import NothingToDrawError
from uqdm.bench.plots.distortion_perception import draw, mixtures
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.scoring.options import ScoringOptions

pytestmark = pytest.mark.slow


def test_mean_and_sample_are_ends_of_a_line(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    model = refine_folder(tmp_path / "model", PICTURE)
    np.savez(tmp_path / "cuts.npz", images=np.stack([image[:32, :32] for image in photographs_uint8[:3]]))
    images = open_dataset(f"npz:{tmp_path / 'cuts.npz'}")
    refine = f"codec=(jpeg:quality=20);model={model};steps=2"
    plain = f"refine:{refine.replace(';', ',').replace('(', '').replace(')', '').replace('jpeg:', 'jpeg;')}"
    run = tmp_path / "run"
    evaluate_here(run, images, plain, f"interpolate:codec=refine:{refine},lam=0,0.5,1,mmse=mean,realistic=sample")
    score_here(run, images, ScoringOptions(metrics=("ssim",)))
    summarize_run(run)
    table = make_plane(run)
    assert table.reconstruction.tolist() == ["lambda 1", "lambda 0.5", "sample"]
    assert table.mmse.tolist() == ["lambda 0", "lambda 0", "mean"]
    assert table.ratio[0] == table.ratio[2]  # the same pictures
    rows = mixtures(read_summary(run))
    assert rows.title.unique().tolist() == ["refine over jpeg, mean to sample"]
    with pytest.raises(NothingToDrawError, match="are missing"):
        draw(run)  # neither FID nor LPIPS was asked for
