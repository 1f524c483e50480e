"""Guards merged runs: all rows and pictures are there, codecs are joined only if equal, other protocols are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toy_codecs
from small_run import measure_run
from toy_images import MemoryImages, unmarked_images
from typer.testing import CliRunner

from uqdm.bench.analysis.bd_table import make_bd_table
from uqdm.bench.analysis.merge_runs import merge_runs, merged_folder, run_names
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.evaluation.evaluate import evaluate
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.stored_run import open_run
from uqdm.bench.run.summary_reader import read_summary, summary_provenance
from uqdm.bench.schema import MEASURED
from uqdm.cli.main import app

IMAGES = MemoryImages(unmarked_images(4))
A = ("jpeg:quality=10|30|50|70", "toy-raw:drop=4", "toy-absent")
B = ("jpeg:quality=50|90", "png", "toy-raw:drop=4", "toy-model")


@pytest.fixture(scope="module")
def runs(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on the same images, of which the second has another version of ``toy-raw``."""
    folder = tmp_path_factory.mktemp("merge")
    a = measure_run(folder / "a", IMAGES, *A)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_codecs.Raw, "version", "toy 2")
        return [a, measure_run(folder / "b", IMAGES, *B)]


@pytest.fixture(scope="module")
def merged(runs: list[Path]) -> Path:
    folder = merged_folder(runs)
    assert merge_runs(runs, folder) == ["a", "b"]
    summarize_run(folder)
    return folder


def test_equal_codecs_are_one_and_others_bear_the_names_of_the_runs(merged: Path) -> None:
    assert merged.name == "a+b"
    summary = read_summary(merged)
    assert sorted(summary.codec.unique()) == ["jpeg", "png", "toy-absent", "toy-model", "toy-raw (a)", "toy-raw (b)"]
    settings = summary[summary.codec == "jpeg"].setting.tolist()
    assert sorted(settings) == [f"quality={quality}" for quality in (10, 30, 50, 70, 90)]
    assert summary[summary.codec == "toy-raw (b)"].codec_version.tolist() == ["toy 2"]
    assert "a (" in summary_provenance(merged)["protocol"]["merged from"]


def test_the_summary_is_that_of_one_run_with_all_codecs(merged: Path, toys: Path, tmp_path: Path) -> None:
    one = summarize_run(measure_run(tmp_path / "one", IMAGES, "jpeg:quality=10..90:20", "png"))
    several = read_summary(merged)
    several = several[several.codec.isin(one.codec.unique())].reset_index(drop=True)
    same = [name for name in one.columns if name not in MEASURED]
    pd.testing.assert_frame_equal(several[same], one[same], check_exact=True, check_dtype=False)


def test_pictures_come_from_the_runs(merged: Path) -> None:
    pictures = RunPictures(merged, IMAGES.name)
    for codec in ("jpeg", "toy-raw (a)"):
        row = pictures.rows[pictures.rows.codec == codec].iloc[-1].to_dict()
        assert picture_sha256(pictures.picture(row)) == row["picture_sha256"]
    np.testing.assert_array_equal(pictures.original(2), IMAGES.images[2])


def test_curves_of_different_runs_are_compared_image_by_image(merged: Path) -> None:
    table = make_bd_table(merged, "jpeg")
    assert set(table.anchor) == {"jpeg"}
    assert set(table.n) == {len(IMAGES)}


def test_the_folder_takes_no_measurements(merged: Path) -> None:
    with pytest.raises(
        ResultsError, match=r"a\+b: merged from several runs; evaluate into one of these instead: .*a, "
    ):
        evaluate(IMAGES, {}, merged)
    with pytest.raises(ResultsError, match="score one of these instead"):
        open_run(merged, IMAGES)
    with pytest.raises(ResultsError, match="merged from several runs; name one of these"):
        merge_runs([merged, merged.parent / "a"], merged.parent / "c")


def test_a_merge_replaces_an_earlier_one_and_nothing_else(runs: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "both"
    merge_runs(runs, folder)
    (folder / "report.html").touch()
    merge_runs(runs, folder)
    assert not (folder / "report.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["both"]
    with pytest.raises(ResultsError, match="holds files that are not of an earlier merge; name another folder"):
        merge_runs(runs, runs[0])


def test_other_images_and_other_limits_are_refused(runs: list[Path], tmp_path: Path) -> None:
    less = measure_run(tmp_path / "less", MemoryImages(IMAGES.images[:3]), "png")
    with pytest.raises(ResultsError) as refused:
        merge_runs([runs[0], less], tmp_path / "both")
    message = str(refused.value)
    assert f"{runs[0]} has 4 of memory (fingerprint {IMAGES.fingerprint})" in message
    assert f"{less} has 3 of memory" in message
    assert "with the same limit" in message
    assert not (tmp_path / "both").exists()


SETS = [{"codec": "png", "setting": "", "fid_n": 4, "fid_extractor": "0123"}]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"metrics": {"ssim": 1}}, {"metrics": {"ssim": 2}}, "the version of ssim is 1 in .*a and 2 in .*b; score"),
        ({"sets": SETS}, {"sets": [{**SETS[0], "fid_extractor": "4567"}]}, "the feature extractor is 0123 in .* 4567"),
        ({"sets": SETS}, {"sets": [{**SETS[0], "fid_n": 3}]}, "the number of images in metrics of sets is 4 in .* 3"),
    ],
)
def test_other_protocols_are_refused(
    runs: list[Path], tmp_path: Path, first: dict[str, object], second: dict[str, object], message: str
) -> None:
    changed = [Path(shutil.copytree(run, tmp_path / run.name)) for run in runs]
    for run, scores in zip(changed, (first, second), strict=True):
        path = run / "scores.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **scores}))
    with pytest.raises(ResultsError, match=message):
        merge_runs(changed, tmp_path / "both")


def test_names_are_as_long_as_needed() -> None:
    assert run_names([Path("x/a"), Path("y/b")]) == ["a", "b"]
    with pytest.raises(ResultsError, match="named twice"):
        run_names([Path("x/a"), Path("x/../x/a")])
    assert len(merged_folder([Path(f"run-{number:03}") for number in range(50)]).name) < 100


@pytest.mark.proof
def test_the_command_writes_a_page_alone(runs: list[Path], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "report", *map(str, runs), "--out", str(tmp_path / "all.html")])
    assert done.exit_code == 0, done.output
    assert "toy-raw (b)" in (tmp_path / "all.html").read_text()
    assert "merged from: a (" in (tmp_path / "all.html").read_text()
    assert {path.name for path in tmp_path.iterdir()} <= {"all.html", "all_pictures"}


def test_options_of_one_run_are_refused_for_several(runs: list[Path], tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["bench", "report", *map(str, runs), "--plots", str(tmp_path)])
    assert refused.exit_code == 2
    assert "--plots is for one run" in refused.output
