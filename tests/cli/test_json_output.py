"""Guards `--json` of every command that has it: one valid document on standard output, and no user in `doctor`'s."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from documented import ROOT
from small_run import measure_run
from test_help import ALL
from typer.testing import CliRunner

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.bench.schema import BD, COMPARISON
from uqdm.cli.json_output import json_rows, plain, without_user
from uqdm.cli.main import app


def not_a_number(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def printed(*arguments: str | Path, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout, parse_constant=not_a_number)


def commands_with_json() -> Iterator[str]:
    for names in ALL:
        if re.search(r"^  --json ", CliRunner().invoke(app, [*names, "--help"]).stdout, re.MULTILINE):
            yield " ".join(names)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = [f"{name}:quality={quality}" for name in ("jpeg", "webp") for quality in (10, 30, 60, 90)]
    run = measure_run(tmp_path_factory.mktemp("json") / "run", open_dataset("demo", limit=2), *codecs, "png")
    summarize_run(run)
    return run


def test_the_page_lists_every_command_with_json() -> None:
    section = (ROOT / "docs" / "command-line.md").read_text().partition("## JSON")[2]
    documented = re.findall(r"^\| `uqdm ([a-z ]+?)(?: [A-Z ]+)? --json`", section, re.MULTILINE)
    assert sorted(documented) == sorted(commands_with_json())


def test_commands_that_need_no_run() -> None:
    assert {model["name"] for model in printed("models", "--json")} >= {"uqdm-demo", "uqdm-tiny"}
    assert isinstance(printed("environments", "list", "--json"), list)
    points = printed("bench", "published", "--dataset", "kodak", "--family", "classic", "--json")
    assert {point["family"] for point in points} == {"classic"}
    assert all(isinstance(point["bpp"], float) for point in points)


def test_results_of_a_run_have_every_row_and_null_for_no_value(run_dir: Path) -> None:
    means = printed("bench", "show", run_dir, "--json")
    assert {row["codec"] for row in means} == {"jpeg", "webp", "png"}
    assert [row["psnr_db"] for row in means if row["codec"] == "png"] == [None]
    rows = printed("bench", "show", run_dir, "--rows", "--codec", "jpeg", "--columns", "image_index,bpp", "--json")
    assert len(rows) == 8
    assert {type(value) for row in rows for value in row.values()} == {int, float}
    curves = printed("bench", "bd", "--run", run_dir, "--metric", "psnr_db", "--json")
    assert set(curves) == {"curves"}
    assert set(curves["curves"][0]) == set(BD.names)
    both = printed("bench", "bd", "--run", run_dir, "--metric", "psnr_db", "--per-image", "--json")
    assert {row["curve"] for row in both["images"]} == {"webp"}
    assert printed("bench", "status", run_dir, "--json")[0]["folder"] == str(run_dir)


def test_a_comparison_names_pictures_without_a_partner(run_dir: Path) -> None:
    found = printed("bench", "compare", run_dir, run_dir, "--codec-a=jpeg", "--metric=psnr_db", "--json")
    assert set(found["rows"][0]) == set(COMPARISON.names)
    assert found["a"] == str(run_dir)
    assert found["only_a"] == found["only_b"] == []


def test_csv_and_json_exclude_each_other(run_dir: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "show", str(run_dir), "--csv", "--json"])
    assert done.exit_code == 2
    assert "--csv and --json exclude each other" in done.output


def test_values_without_a_word_in_json_are_null() -> None:
    frame = pd.DataFrame({"n": [1.0, np.nan], "bpp": [np.inf, 0.5], "text": ["a", None]})
    import pyarrow as pa

    schema = pa.schema([("n", pa.int32()), ("bpp", pa.float64()), ("text", pa.string())])
    assert json_rows(frame, schema) == [{"n": 1, "bpp": None, "text": "a"}, {"n": None, "bpp": 0.5, "text": None}]
    assert plain({"a": np.arange(2), "b": np.float32("nan"), "c": Path("x")}) == {"a": [0, 1], "b": None, "c": "x"}


@pytest.mark.slow
def test_a_report_of_doctor_has_versions_and_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "alice"
    (home / "weights").mkdir(parents=True)
    for name, value in {"HOME": home, "USER": "alice", "LOGNAME": "alice", "UQDM_INCEPTION": home / "weights"}.items():
        monkeypatch.setenv(name, str(value))
    from uqdm.cli import doctor

    monkeypatch.setattr(doctor, "_asked", lambda texts: {"png": doctor_request("png")})
    found = printed("doctor", "--json", code=1)
    assert list(found) == ["uqdm", "python", "platform", "machine", "libraries", "codecs", "others"]
    assert found["libraries"]["torch"]
    assert "ruff" not in found["libraries"]
    assert [(codec["name"], codec["status"]) for codec in found["codecs"]] == [("png", "works")]
    weights = next(one for one in found["others"] if one["name"] == "fid-weights")
    assert (weights["status"], weights["reason"].partition(":")[0]) == ("FAILS", "~/weights")
    assert "alice" not in json.dumps(found)


def doctor_request(name: str) -> list[Any]:
    from uqdm.bench.run.codec_settings import Request

    return [Request(name)]


def test_a_name_is_hidden_in_paths_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/bo")
    monkeypatch.setenv("USER", "bo")
    monkeypatch.setenv("LOGNAME", "bo")
    given = ["/home/bo/x", "/home/bob/x", "/tmp/ray-bo/y", "bo says no", {"a": "in /home/bo"}]
    assert without_user(given) == ["~/x", "/home/bob/x", "/tmp/ray-USER/y", "bo says no", {"a": "in ~"}]
