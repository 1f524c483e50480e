"""Guards `uqdm bench run`: all stages in one command, resumption, failures of single stages, and where it may write."""

from __future__ import annotations

import inspect
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from PIL import Image
from small_run import measure_run
from typer.testing import CliRunner

from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.cli.bench.run import CODECS
from uqdm.cli.main import app
from uqdm.cli.option_parameters import with_option_parameters
from uqdm.codec import codec_names

QUICK = ("--codec=jpeg:quality=20..80:20", "--codec=webp:quality=20|50|80|95", "--metric=psnr_db")


def bench_run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "run", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two photographs, and a working directory next to it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my photos"
    folder.mkdir()
    dataset = open_dataset("demo", limit=2)
    for index in range(2):
        Image.fromarray(dataset.load(index)).save(folder / f"{index}.png")
    return folder


@pytest.mark.cluster
def test_one_command_makes_every_product_and_resumes(photos: Path) -> None:
    done = bench_run(photos.name, *QUICK)
    assert done.exit_code == 0, done.output
    folder = Path("results/my-photos")
    products = ["evaluation.json", "scores.json", "summary.parquet", "summary.csv", "bd.csv", "report.html"]
    products += ["plots/rate_distortion.png", "logs/evaluate.log", "logs/score.log"]
    assert [name for name in products if not (folder / name).is_file()] == []
    assert set(pd.read_parquet(folder / "summary.parquet").n) == {2}
    assert "jpeg" in done.stdout
    assert f"report   {folder}/report.html" in done.stdout
    again = bench_run(photos.name, *QUICK)
    assert again.exit_code == 0, again.output
    assert "16 of 16 images x settings are done already" in again.stderr


@pytest.mark.proof
@pytest.mark.cluster
def test_a_stage_that_fails_is_reported_and_the_others_are_done(photos: Path) -> None:
    done = bench_run(photos, *QUICK, "--anchor=avif", "--inception=absent.pth", "--out=here")
    assert done.exit_code == 1
    assert "FAILED score: --inception: no file absent.pth" in done.stderr
    assert "FAILED bd: " in done.stderr
    assert str(done.exception) == "score, bd failed, as said above; the same command tries again"
    assert (Path("here") / "report.html").is_file()
    assert not (Path("here") / "bd.csv").exists()
    assert "report   here/report.html" in done.stdout
    assert bench_run(photos, *QUICK, "--out=here").exit_code == 0
    assert (Path("here") / "bd.csv").is_file()


def test_results_do_not_go_among_the_images(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be images of the next run."""
    monkeypatch.chdir(photos)
    done = bench_run(".", *QUICK)
    assert "results/my-photos: lies in the folder of the images" in str(done.exception)
    assert sorted(path.name for path in photos.iterdir()) == ["0.png", "1.png"]


def test_a_run_of_other_images_is_not_mixed_with(photos: Path) -> None:
    run = measure_run(Path("run"), open_dataset(f"folder:{photos}"), "jpeg:quality=50", "png")
    other = bench_run("demo", "--limit=2", *QUICK, "--out", run)
    assert f"run: holds a run of folder:{photos}, not of demo; choose another folder" in str(other.exception)
    fewer = bench_run(photos, "--limit=1", *QUICK, "--out", run)
    assert f"run: png was evaluated on other images of folder:{photos}; name it with --codec too" in str(
        fewer.exception
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-folder"], "no data set 'no-such-folder'"),
        (["demo", "--codec=jpgg"], "did you mean jpeg"),
        (["demo", "--codec=jpeg:quality=90..10"], "write the smaller end first"),
        (["demo", "--metric=pnsr"], "psnr_db"),
    ],
)
def test_mistakes_are_reported_before_work_starts(arguments: list[str], message: str, photos: Path) -> None:
    done = bench_run(*arguments, "--out=out")
    assert message in str(done.exception)
    assert not Path("out").exists()


def test_the_codecs_of_a_run_that_names_none_exist_and_are_in_the_help() -> None:
    assert set(CODECS) <= set(codec_names())
    shown = " ".join(bench_run("--help").stdout.split())
    assert f"the codecs are {', '.join(CODECS[:-1])} and {CODECS[-1]}." in shown


def test_an_option_of_two_stages_is_one_parameter_and_fills_both() -> None:
    found: list[tuple[ScoringOptions, EvaluationOptions]] = []

    @with_option_parameters
    def command(scoring: ScoringOptions, evaluation: EvaluationOptions) -> None:
        found.append((scoring, evaluation))

    defaults = {name: one.default for name, one in inspect.signature(command).parameters.items()}
    command(**{**defaults, "metric": ["ssim"], "wait": True, "readers": 3})
    scoring, evaluation = found[0]
    assert scoring.metrics == evaluation.metrics == ("ssim",)
    assert scoring.wait
    assert evaluation.wait
    assert scoring.limits == evaluation.limits
    assert scoring.limits.readers == 3
