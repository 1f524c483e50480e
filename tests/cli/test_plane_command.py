"""Guards `uqdm bench plane`: the printed tables, the files, and its messages for unknown names."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from small_models import FREE_SLOPE, small_codec
from small_run import evaluate_here, score_here
from typer.testing import CliRunner

from uqdm.bench.analysis.plane import make_plane
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.schema import PLANE
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.cli.main import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("plane")
    small_codec(folder / "model", FREE_SLOPE)
    model = f"model={folder / 'model'}"
    codecs = [f"uqdm:{model},reconstruct=all", f"interpolate:codec=uqdm:{model};reconstruct=denoise+ancestral"]
    np.savez(folder / "cuts.npz", images=np.stack([image[:16, :16] for image in photographs_uint8[:3]]))
    images = open_dataset(f"npz:{folder / 'cuts.npz'}")
    evaluate_here(folder / "run", images, *codecs, "jpeg:quality=10", "jpeg:quality=95")
    score_here(folder / "run", images, ScoringOptions(metrics=("ssim",)))
    summarize_run(folder / "run")
    return folder / "run"


def plane(run_dir: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "plane", str(run_dir), *map(str, arguments)])


def test_figures_of_the_library_are_printed(run_dir: Path) -> None:
    done = plane(run_dir, "--against", "jpeg")
    assert done.exit_code == 0, done.output
    table = make_plane(run_dir, against="jpeg")
    found = table[(table.codec == "uqdm") & (table.point == "step 2") & (table.reconstruction == "flow")].iloc[0]
    (shown,) = [
        line for line in done.stdout.splitlines() if line.startswith("uqdm step 2 flow") and found.verdict in line
    ]
    assert f"{found.ratio_low:.4g} to {found.ratio_high:.4g}" in shown
    assert f"{found.gain_db_low:.4g} to {found.gain_db_high:.4g}" in shown
    for title in (
        "of the same bits",
        "the faithful curve 'jpeg' at equal rate",
        "mixtures against m + lambda^2 (s - m)",
    ):
        assert title in done.stdout
    (line,) = table[(table.codec == "interpolate") & (table.point == "step 2") & (table.lam == 0.5)].line_ratio
    assert f"{line:.5g}" in done.stdout.partition("mixtures against")[2]


def test_files_and_csv_have_every_digit(run_dir: Path, tmp_path: Path) -> None:
    table = make_plane(run_dir)
    done = plane(run_dir, "--csv", "--out", tmp_path / "plane.json")
    printed = pd.read_csv(io.StringIO(done.stdout))
    assert list(printed.columns) == PLANE.names
    assert printed.ratio.dropna().tolist() == table.ratio.dropna().tolist()
    assert [line["mse"] for line in json.loads((tmp_path / "plane.json").read_text())] == table.mse.tolist()
    assert plane(run_dir, "--out", tmp_path / "plane.csv").stdout.endswith(f"{tmp_path / 'plane.csv'}\n")
    assert pd.read_csv(tmp_path / "plane.csv").mse.tolist() == table.mse.tolist()


def test_wrong_names_get_a_remedy(run_dir: Path, tmp_path: Path) -> None:
    assert "did you mean flow" in str(plane(run_dir, "--realistic", "flwo").exception)
    assert "did you mean jpeg" in str(plane(run_dir, "--against", "jpgg").exception)
    done = plane(run_dir, "--out", tmp_path / "plane.txt")
    assert "name a file that ends so" in str(done.exception)
    (tmp_path / "plane.csv").write_bytes(bytes(100))
    assert "not an earlier output" in str(plane(run_dir, "--out", tmp_path / "plane.csv").exception)
