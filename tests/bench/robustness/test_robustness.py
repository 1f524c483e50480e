"""Counts of outcomes by codec: of new files and of a run's; what the formats detect; other processes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from uqdm.bench.datasets import open_dataset
from uqdm.bench.robustness.coded_files import files_of_images, files_of_run
from uqdm.bench.robustness.options import RobustnessOptions
from uqdm.bench.robustness.save import measure_all, save_table
from uqdm.bench.robustness.table import markdown, shown_tables
from uqdm.bench.run.codec_settings import parse_request
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.schema import ROBUSTNESS
from uqdm.cli.main import app

FEW = RobustnessOptions(files=2, damages=6, processes=2)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    requests = [parse_request(text) for text in ("png", "webp:quality=60")]
    return measure_all(files_of_images(open_dataset("demo", limit=2), requests), FEW)


def counts(table: pd.DataFrame, codec: str, check: str) -> pd.DataFrame:
    return table[(table.codec == codec) & (table.check == check)].set_index("case")


def test_png_detects_all_damage_by_its_checksums(table: pd.DataFrame) -> None:
    found = counts(table, "png", "damage")
    assert list(found.index) == ["cut", "flip", "overwrite", "splice", "random", "extend"]
    assert (found.n == 12).all()
    assert (found.refused == found.n).all()


def test_webp_shows_wrong_pictures_that_the_store_refuses(table: pd.DataFrame) -> None:
    found = counts(table, "webp", "damage")
    assert found.refused["cut"] == 12
    assert found.same["extend"] == 12
    assert found.wrong["flip"] > 0
    assert (found.store_refused == found.n).all()
    outcomes = ["refused", "earlier", "same", "wrong", "crashed", "hung", "out_of_memory"]
    assert (found[outcomes].sum(axis=1) == found.n).all()


def test_whole_files_decode_to_the_same_pictures_elsewhere(table: pd.DataFrame) -> None:
    found = counts(table, "webp", "elsewhere")
    assert dict(found.n) == {"another process": 2, "2 threads, batch 4": 4}  # in batches also each whole picture
    assert (found.same == found.n).all()


def test_the_tables_are_written_and_shown(table: pd.DataFrame, tmp_path: Path) -> None:
    csv, parquet = save_table(table, tmp_path)
    assert list(pd.read_csv(csv).columns) == ROBUSTNESS.names
    pd.testing.assert_frame_equal(pd.read_parquet(parquet), table)
    outcomes, wrong, elsewhere = shown_tables(table)
    assert outcomes.lines[0] == ["png", "72", "72", *6 * ["0"]]
    assert markdown(wrong).splitlines()[2] == f"| `png` | {' | '.join(6 * ['0 of 12'])} |"
    assert elsewhere.lines[1] == ["webp:quality=60", "6", "6", "0", "0"]


def test_files_of_a_run_are_compared_with_its_rows(measured_run: Path, tmp_path: Path) -> None:
    few = ["--files=3", "--damages=4", "--codec=toy-raw:drop=0", f"--out={tmp_path}"]
    done = CliRunner().invoke(app, ["bench", "robustness", str(measured_run), *few], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(f"{tmp_path}/robustness.csv\n{tmp_path}/robustness.parquet\n")
    found = pd.read_csv(tmp_path / "robustness.csv")
    elsewhere = counts(found, "toy-raw", "elsewhere")
    assert list(elsewhere.same) == list(elsewhere.n) == [3, 6]
    assert counts(found, "toy-raw", "damage").wrong["flip"] > 0


@pytest.mark.usefixtures("toys")
def test_earlier_and_varying_pictures_are_no_wrong_ones() -> None:
    names = ["toy-layered", "toy-noisy", "toy-absent"]
    said: list[str] = []
    files = files_of_images(open_dataset("demo", limit=1), list(map(parse_request, names)))
    found = measure_all(files, RobustnessOptions(files=1, damages=8), said.append)
    cuts = counts(found, "toy-layered", "damage").loc["cut"]
    assert (cuts.refused, cuts.earlier, cuts.wrong) == (4, 4, 0)  # the high nibbles are the first half of the file
    noisy = counts(found, "toy-noisy", "elsewhere")
    assert list(noisy.varying) == list(noisy.n) == [1, 2]
    assert noisy.largest_difference["2 threads, batch 4"] == 1
    assert any("toy-absent" in line and "left out" in line and "libtoy is not installed" in line for line in said)


def test_a_codec_or_setting_that_the_run_lacks_is_named(measured_run: Path) -> None:
    with pytest.raises(ResultsError, match=r"no codec 'toy-row' \(did you mean toy-raw"):
        files_of_run(measured_run, [parse_request("toy-row")])
    with pytest.raises(ResultsError, match="no setting 'drop=1' in the run; it has: 'drop=0', 'drop=4'"):
        files_of_run(measured_run, [parse_request("toy-raw:drop=1")])
    with pytest.raises(ValueError, match=r"jpeg@bpp=0.5: is a target; name a setting"):
        files_of_run(measured_run, [parse_request("jpeg@bpp=0.5")])


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["demo"], "demo is a data set, not the folder of a run: --codec is missing"),
        (["demo", "--codec=png"], "--out is missing"),
    ],
)
def test_a_data_set_needs_codecs_and_a_folder(arguments: list[str], answer: str) -> None:
    done = CliRunner().invoke(app, ["bench", "robustness", *arguments])
    assert done.exit_code != 0
    assert answer in str(done.exception) or answer in done.output
