"""Guards `uqdm bench grid`: its files, and its messages for mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from small_run import evaluate_here, score_here
from typer.testing import CliRunner

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.cli.main import app


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = [f"{name}:quality={quality}" for name in ("jpeg", "webp") for quality in (10, 90)]
    run, dataset = tmp_path_factory.mktemp("cli") / "run", open_dataset("demo", limit=2)
    evaluate_here(run, dataset, *codecs)
    score_here(run, dataset, ScoringOptions(metrics=("psnr_db",)))  # others take seconds
    summarize_run(run)
    return run


def grid(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "grid", *map(str, arguments)])


def test_the_three_files_are_written_to_the_run_and_named(run_dir: Path) -> None:
    done = grid(run_dir, "--images", "1,0", "--bpp", "1, 5", "--tolerance", "80")
    assert done.exit_code == 0, done.output
    heads = {"png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!do"}
    for kind, head in heads.items():
        path = run_dir / "grid" / f"grid.{kind}"
        assert str(path) in done.stdout.splitlines()
        assert path.read_bytes().startswith(head)
    page = (run_dir / "grid" / "grid.html").read_text()
    ids = list(open_dataset("demo", limit=2).ids)
    assert page.index(ids[1]) < page.index(ids[0])
    assert "at most 80 % away" in page


def test_only_the_formats_that_are_asked_for_are_written(run_dir: Path, tmp_path: Path) -> None:
    done = grid(run_dir, "--bpp", "5", "--tolerance", "80", "--format", "html", "--out", tmp_path / "there")
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["grid.html"]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--images", "7"], "an index from 0 to 1"),
        (["--codec", "jpgg"], "did you mean jpeg"),
        (["--metric", "psnr"], "did you mean psnr_db"),
        (["--bpp", "0.5,,2"], "bpp='0.5,,2': write a number or several, with commas between them"),
        (["--bpp", "0"], "bpp=0.0: must be above 0"),
        (["--crop", "1,2,0,4"], "write X,Y,WIDTH,HEIGHT in pixels"),
        (["--format", "jpg"], "choose from png, pdf, html"),
    ],
)
def test_a_mistake_is_named_before_anything_is_written(run_dir: Path, arguments: list[str], answer: str) -> None:
    done = grid(run_dir, *arguments, "--out", run_dir / "nothing")
    assert answer in str(done.exception)
    assert not (run_dir / "nothing").exists()


def test_a_run_without_a_summary_names_the_command(tmp_path: Path) -> None:
    assert "uqdm bench summarize" in str(grid(tmp_path).exception)
