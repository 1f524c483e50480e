"""Guards `uqdm bench bd`: the file and the printed table, and its messages for unknown names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from small_run import measure_run
from typer.testing import CliRunner

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.schema import BD_OF_IMAGES
from uqdm.cli.main import app


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = [f"{name}:quality={quality}" for name in ("jpeg", "webp") for quality in (10, 30, 60, 90)]
    codecs.append("jpeg2000:layers=20")  # deltas are not defined for a curve of one point
    run = measure_run(tmp_path_factory.mktemp("cli") / "run", open_dataset("demo", limit=4), *codecs)
    summarize_run(run)
    return run


def bd(run_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", "bd", "--run", str(run_dir), *arguments])


def test_deltas_are_written_and_printed(run_dir: Path) -> None:
    done = bd(run_dir, "--metric", "psnr_db")
    assert done.exit_code == 0, done.output
    row = pd.read_csv(run_dir / "bd.csv").query("metric == 'psnr_db' and curve == 'webp'").iloc[0]
    assert "psnr_db (higher is better), against jpeg; pchip, log10 rate" in done.stdout
    assert f"{row.bd_rate_percent:+.4g}" in done.stdout
    assert f"{row.bd_rate_low:.4g} to {row.bd_rate_high:.4g}" in done.stdout
    assert "jpeg2000 has 1 point of finite quality, and 4 are needed" in done.stdout
    assert "mse" not in done.stdout
    assert done.stdout.endswith(f"{run_dir / 'bd.csv'}\n")


def test_images_are_written_and_printed_on_request(run_dir: Path) -> None:
    done = bd(run_dir, "--metric", "psnr_db", "--per-image")
    images = pd.read_csv(run_dir / "bd_per_image.csv").query("metric == 'psnr_db' and curve == 'webp'")
    assert pd.read_csv(run_dir / "bd_per_image.csv").columns.tolist() == BD_OF_IMAGES.names
    row = pd.read_csv(run_dir / "bd.csv").query("metric == 'psnr_db' and curve == 'webp'").iloc[0]
    assert len(images) == 4
    for value in (row.image_bd_rate_median, row.bd_rate_without, *images.bd_rate_percent):
        assert f"{value:+.4g}" in done.stdout
    assert f"{row.rate_ratio_50:.3f} (n={row.rate_ratio_50_n:g})" in done.stdout
    worst = images.image_id[images.bd_rate_percent.idxmax()]
    assert worst in done.stdout.partition("worst image")[2]
    assert "worst image" not in bd(run_dir, "--metric", "psnr_db").stdout


def test_with_another_anchor_the_delta_of_two_curves_is_inverted(run_dir: Path, tmp_path: Path) -> None:
    tables = {}
    for anchor, curve in (("jpeg", "webp"), ("webp", "jpeg")):
        out = tmp_path / f"{anchor}.csv"
        done = bd(run_dir, "--anchor", anchor, "--metric", "psnr_db", "--out", str(out))
        assert f"psnr_db (higher is better), against {anchor}; " in done.stdout
        table = pd.read_csv(out)
        assert set(table["anchor"]) == {anchor}
        (tables[anchor],) = table[(table["metric"] == "psnr_db") & (table["curve"] == curve)].to_dict("records")
    rates = [1 + tables[anchor]["bd_rate_percent"] / 100 for anchor in ("jpeg", "webp")]
    assert rates[0] < 1 < rates[1]
    assert rates[0] * rates[1] == pytest.approx(1, rel=1e-9)
    assert tables["jpeg"]["bd_quality"] == pytest.approx(-tables["webp"]["bd_quality"], rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [(["--anchor", "jpgg"], "did you mean jpeg"), (["--metric", "psnr"], "did you mean psnr_db")],
)
def test_unknown_names_get_suggestions(run_dir: Path, arguments: list[str], answer: str) -> None:
    assert answer in str(bd(run_dir, *arguments).exception)


def test_a_run_without_a_summary_names_the_command(tmp_path: Path) -> None:
    assert "uqdm bench summarize" in str(bd(tmp_path).exception)
