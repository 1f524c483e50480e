"""``uqdm sample`` as a user runs it: a sheet that is written whole or not at all."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_models import CODED_SLOPE, small_codec
from typer.testing import CliRunner

from uqdm.cli.main import app, main
from uqdm.sampling.named import sampler_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    small_codec(folder, CODED_SLOPE)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit status and standard error."""
    monkeypatch.setattr(sys, "argv", ["uqdm", "sample", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capfd.readouterr().err


def test_a_sheet_has_the_samples_row_by_row(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "sheet.png"
    code, printed = run(monkeypatch, capfd, model, "--n", 5, "--columns", 3, "--seed", 7, "--out", out)
    assert (code, printed) == (0, f"{out}: 5 samples of {model}, 24x16 pixels\n")
    drawn = sampler_of(model, seed=7).draw(5)
    rows = [np.hstack(list(drawn[:3])), np.hstack([*drawn[3:], np.full((8, 8, 3), 255, np.uint8)])]
    assert np.array_equal(np.asarray(Image.open(out)), np.vstack(rows))


def test_a_picture_that_exists_is_kept_without_force(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "photo.png"
    Image.new("RGB", (2, 2)).save(out)
    before = out.read_bytes()
    code, printed = run(monkeypatch, capfd, model, "--n", 2, "--out", out)
    assert code == 1
    assert "photo.png: it exists already, and is a picture" in printed
    assert out.read_bytes() == before
    assert run(monkeypatch, capfd, model, "--n", 2, "--out", out, "--force")[0] == 0
    assert Image.open(out).size == (16, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ntc-demo", "--out", "sheet.png"], "ntc-demo is a model of transform coding, which samples no pictures"),
        (["uqdm-demo", "--steps", "3", "--out", "sheet.png"], "steps=3: uqdm-demo has networks for its own steps"),
        (["uqdm-pixel", "--out", "sheet.txt"], "error: sheet.txt: unknown kind of image .txt"),
        (["uqdm-pixel", "--out", "sheet.gif", "--n", "1025", "--columns", "1025"], "GIF holds at most 65535 a side"),
        (["uqdm-pixel", "--out", "."], "error: .: "),
    ],
    ids=lambda value: str(value)[:20],
)
def test_nothing_is_written_where_the_command_fails(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = run(monkeypatch, capfd, *arguments)
    assert code == 1
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_a_sheet_on_standard_output_is_a_png(model: Path) -> None:
    done = CliRunner().invoke(app, ["sample", str(model), "--n", "4", "--out", "-"])
    assert done.exit_code == 0, done.output
    assert Image.open(io.BytesIO(done.stdout_bytes)).size == (16, 16)
