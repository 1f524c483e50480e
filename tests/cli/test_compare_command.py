"""Guards `uqdm bench compare`: the printed tables and the CSV are those of the library, and anomalies are reported."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from small_run import measure_run
from typer.testing import CliRunner

from uqdm.bench.analysis.compare_runs import compare_runs
from uqdm.bench.datasets import open_dataset
from uqdm.bench.schema import COMPARISON
from uqdm.cli.main import app


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, images = tmp_path_factory.mktemp("cli"), open_dataset("demo", limit=5)
    a = measure_run(folder / "a", images, "jpeg:quality=20", "jpeg:quality=60", "png")
    return a, measure_run(folder / "b", images, "jpeg:quality=20", "webp:quality=60", "png")


def compare(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "compare", *map(str, arguments)])


def test_tables_and_unpaired_pictures(runs: tuple[Path, Path]) -> None:
    done = compare(*runs)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"A: {runs[0]}"
    assert "fingerprint 5-" in lines[2]
    assert "bpp (lower is better)" in done.stdout
    assert "psnr_db (higher is better)" in done.stdout
    assert "unpaired in A: jpeg quality=60" in lines  # and not jpeg, which both runs have
    assert "unpaired in B: webp" in done.stdout


def test_figures_of_two_codecs(runs: tuple[Path, Path]) -> None:
    done = compare(*runs, "--codec-a", "jpeg:quality=60", "--codec-b", "webp", "--metric", "psnr_db")
    row = compare_runs(*runs, "jpeg:quality=60", "webp", ["psnr_db"]).table.iloc[0]
    (shown,) = [line for line in done.stdout.splitlines() if line.startswith("jpeg ")]
    cells = shown.split()
    assert cells[:2] == ["jpeg", "webp"]
    assert {"A is jpeg at quality=60", "B is webp at quality=60,lossless=false,method=6"} <= set(
        done.stdout.splitlines()
    )
    assert f"{row.difference:+.4g}" in cells
    assert f"{row.wilcoxon_p:.2g}" in cells
    assert f"{row.difference_low:+.4g} to {row.difference_high:+.4g}" in shown
    assert "not adjusted for 1 test;" in done.stdout


def test_a_comparison_without_pairs_is_reported(runs: tuple[Path, Path]) -> None:
    done = compare(*runs, "--metric", "fid")
    assert done.exit_code == 0
    assert "fid: no pair has a value on both sides" in done.stdout


def test_csv_has_full_precision(runs: tuple[Path, Path]) -> None:
    printed = pd.read_csv(io.StringIO(compare(*runs, "--csv").stdout), engine="python")
    table = compare_runs(*runs).table
    assert list(printed.columns) == COMPARISON.names
    for name in ("mean_a", "difference_low", "better"):
        assert printed[name].dropna().tolist() == table[name].dropna().tolist()


def test_different_images_are_an_error(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = measure_run(tmp_path / "other", open_dataset("demo", limit=2), "png")
    done = compare(runs[0], other)
    assert done.exit_code == 1
    assert "different images" in str(done.exception)
