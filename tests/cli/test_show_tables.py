"""Guards the tables of `uqdm bench show`: they are the rows and summaries of the files, to the last digit as CSV."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from small_run import measure_run
from typer.testing import CliRunner

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.run.rows_reader import read_rows
from uqdm.bench.run.summary_reader import read_summary
from uqdm.bench.schema import ROWS
from uqdm.cli.main import app


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = ["jpeg:quality=20", "jpeg:quality=90", "png", "jpeg-progressive:quality=75"]
    run = measure_run(tmp_path_factory.mktemp("cli") / "run", open_dataset("demo", limit=3), *codecs)
    summarize_run(run)
    return run


def show(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "show", *map(str, arguments)])


def frame(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), engine="python")  # the other one rounds


def test_the_default_output_is_the_short_table(run_dir: Path) -> None:
    done = show(run_dir)
    assert "bpp at equal PSNR" in done.stdout
    assert str(run_dir / "summary.csv") in done.stdout


def test_csv_of_summaries_has_every_column_at_full_precision(run_dir: Path) -> None:
    printed, expected = frame(show(run_dir, "--csv").stdout), read_summary(run_dir)
    assert list(printed.columns) == list(expected.columns)
    for name in ("bpp", "psnr_db", "mse", "bpp_low"):
        assert printed[name].dropna().tolist() == expected[name].dropna().tolist()
    assert printed.codec.tolist() == expected.codec.tolist()


def test_csv_of_rows_has_every_column_at_full_precision(run_dir: Path) -> None:
    printed, expected = frame(show(run_dir, "--rows", "--csv").stdout), read_rows(run_dir, ROWS.names)
    assert set(ROWS.names) <= set(printed.columns)
    assert printed.psnr_db.tolist() == expected.psnr_db.tolist()
    assert printed.image_id.tolist() == expected.image_id.tolist()


def test_nullable_integers_stay_integers(tmp_path: Path) -> None:
    """A skipped codec has no image; the others' image numbers must not turn into 0.0 and 1.0."""
    absent = "program:encode=no-such-program {input} {output},decode=no-such-program {input} {output}"
    run = measure_run(tmp_path / "run", open_dataset("demo", limit=2), "png", absent)
    assert show(run, "--rows", "--csv", "--columns", "codec,image_index").stdout.splitlines()[:3] == [
        "codec,image_index",
        "png,0",
        "png,1",
    ]


def test_filters_sort_and_limit(run_dir: Path) -> None:
    best = ["--codec", "jpeg*", "--where", "bpp<6 and psnr_db>20", "--sort", "psnr_db", "--descending", "--limit", "2"]
    printed = frame(show(run_dir, *best, "--csv").stdout)
    summary = read_summary(run_dir)
    wanted = summary[summary.codec.str.startswith("jpeg") & (summary.bpp < 6) & (summary.psnr_db > 20)]
    assert printed.psnr_db.tolist() == wanted.psnr_db.sort_values(ascending=False).tolist()[:2]
    assert len(frame(show(run_dir, "--rows", "--point", "scan 1", "--csv").stdout)) == 3
    assert len(frame(show(run_dir, "--rows", "--setting", "quality=2*", "--csv").stdout)) == 3
    assert set(frame(show(run_dir, "--reconstruction", "decoded", "--csv").stdout).reconstruction) == {"decoded"}


def test_the_table_is_rounded_and_readable(run_dir: Path) -> None:
    done = show(run_dir, "--codec", "png", "--codec", "jpeg")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["codec", "setting", "n"]
    assert "device" not in lines[0]
    assert lines[-1] == "3 rows"
    row = read_summary(run_dir).query("codec == 'png'").iloc[0]
    (png,) = [line for line in lines if line.startswith("png")]
    assert f"{row.bpp:.5g}" in png
    assert " exact " in png


def test_chosen_columns(run_dir: Path) -> None:
    lines = show(run_dir, "--columns", "bpp, codec,macs_per_pixel", "--limit", "1").stdout.splitlines()
    assert lines[0].split() == ["bpp", "codec", "macs_per_pixel"]
    assert lines[-1] == "1 row"


def test_several_runs_have_a_run_column(run_dir: Path) -> None:
    printed = frame(show(run_dir, run_dir, "--csv").stdout)
    assert set(printed.run) == {str(run_dir)}
    assert len(printed) == 2 * len(read_summary(run_dir))
    assert show(run_dir, "--csv", "--columns", "run,bpp", "--limit", "1").stdout.splitlines()[0] == "run,bpp"


def test_an_empty_result_is_an_empty_table(run_dir: Path) -> None:
    assert show(run_dir, "--where", "bpp>1000").stdout.splitlines()[-1] == "0 rows"


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--columns", "psnr"], "did you mean psnr_db"),
        (["--sort", "bits"], "no column 'bits'"),
        (["--codec", "jpg"], "did you mean jpeg"),
        (["--where", "bpp"], "expected COLUMN OPERATOR VALUE"),
    ],
)
def test_unknown_names_get_suggestions(run_dir: Path, arguments: list[str], answer: str) -> None:
    done = show(run_dir, *arguments)
    assert done.exit_code == 1
    assert answer in str(done.exception)
