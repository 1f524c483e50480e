"""Guards `uqdm bench evaluate`: input is checked before work starts, and the last line counts failures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from uqdm.bench.evaluation.finish import CodecOutcome
from uqdm.cli.bench.evaluate import _conclude
from uqdm.cli.main import app


def evaluate(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, ["bench", "evaluate", *arguments]).exception


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "demo"], "no codec named"),
        (["--dataset", "demo", "--codec", "jpeg:quality=500"], "quality='500': must be at most"),
        (["--dataset", "demo", "--codec", "jpeg:speed=5"], "no parameter 'speed'"),
        (["--dataset", "demmo", "--codec", "jpeg"], "demo"),
        (["--dataset", "npz:nowhere.npz", "--codec", "jpeg"], "nowhere.npz"),
    ],
)
def test_bad_input_is_reported_before_work_starts(arguments: list[str], message: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    error = evaluate(*arguments, "--out", str(out))
    assert isinstance(error, (ValueError, LookupError, OSError))
    assert message in str(error)
    assert not out.exists()


@pytest.mark.parametrize(("text", "message"), [("- jpeg\n", "expected a mapping"), ("{jpeg: [", "not YAML or JSON")])
def test_a_malformed_codecs_file_is_reported(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "codecs.yaml"
    path.write_text(text)
    error = evaluate("--dataset", "demo", "--codecs-file", str(path), "--out", str(tmp_path / "out"))
    assert isinstance(error, ValueError)
    assert str(path) in str(error)
    assert message in str(error)


def test_the_last_line_counts_failures_and_skipped_settings() -> None:
    lines: list[str] = []
    outcomes = [CodecOutcome("a", 10, 0, 0), CodecOutcome("b", 7, 3, 0, "x"), CodecOutcome("c", 0, 0, 2, "y")]
    assert not _conclude(outcomes, Path("run"), lines.append)
    assert lines[-1].startswith("evaluated: 17 images x settings ok, 3 failed, 2 settings skipped")
    assert _conclude(outcomes[:1], Path("run"), lines.append)


@pytest.mark.cluster
def test_a_run_with_only_failures_exits_1(tmp_path: Path) -> None:
    command = "false {input} {output}"
    program = f"program:encode={command},decode={command}"
    error = evaluate("--dataset", "demo", "--limit", "1", "--codec", program, "--out", str(tmp_path / "run"))
    assert isinstance(error, ValueError)
    assert re.fullmatch("all images failed at all settings; the first: .*false failed with status 1.*", str(error))
    assert (tmp_path / "run" / "per_image" / "program.parquet").is_file()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "the path is empty"),
        (" ", "the path is empty"),
        ("~nobody-here/run", "write ./~nobody-here"),
        (__file__, "is a file, not a directory"),
    ],
)
def test_a_mistaken_folder_is_refused_before_work_starts(path: str, message: str) -> None:
    result = CliRunner().invoke(app, ["bench", "evaluate", "--dataset=demo", "--codec=png", f"--out={path}"])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_home_is_expanded_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["bench", "summarize", "--run=~/nowhere"])
    assert f"no run folder {tmp_path}/nowhere" in str(result.exception)
