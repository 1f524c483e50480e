"""Guards `uqdm bench score`: its output, and its messages for bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from small_run import evaluate_here
from typer.testing import CliRunner

from uqdm.bench.datasets import open_dataset
from uqdm.cli.main import app


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.mark.cluster
def test_scoring_fills_the_metrics_that_summarizing_misses(tmp_path: Path) -> None:
    evaluate_here(tmp_path, open_dataset("demo", limit=3), "jpeg:quality=50", "png")
    refused = bench("summarize", "--run", tmp_path)
    assert "rows are not scored yet (jpeg, png); make it with: uqdm bench score" in str(refused.exception)
    log = tmp_path / "logs" / "score.log"
    scored = bench("score", "--run", tmp_path, "--metric", "ssim", "--cpus", "1", "--log", log)
    assert scored.exit_code == 0, scored.output
    assert scored.stderr.splitlines()[-1] == "scored: 6 pictures now, 0 failed"
    assert "scored: 6 pictures now" in log.read_text()
    assert bench("summarize", "--run", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "sssim"], "no metric 'sssim' (did you mean ssim, ms_ssim, ssimulacra2?)"),
        (["--inception", "nowhere.pt"], "--inception: no file nowhere.pt"),
        ([], "make it with: uqdm bench evaluate"),
    ],
)
def test_bad_input_is_reported(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = bench("score", "--run", tmp_path, *arguments)
    assert done.exit_code == 1
    assert message in str(done.exception)


@pytest.mark.cluster
def test_scoring_ends_with_an_error_if_every_picture_fails(tmp_path: Path) -> None:
    evaluate_here(tmp_path, open_dataset("demo", limit=2), "png")
    for path in (tmp_path / "streams" / "png").iterdir():
        path.write_bytes(path.read_bytes()[:-20])
    scored = bench("score", "--run", tmp_path, "--metric", "mse", "--cpus", "1")
    assert scored.exit_code == 1
    assert str(scored.exception).startswith("all images failed at all settings; the first: ")
    assert "evaluate again, which measures its shard anew" in str(scored.exception)
