"""Guards `uqdm bench show`: a finished run is shown, and what is missing is named with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from uqdm.cli.main import app


def test_a_folder_without_a_summary_is_reported(tmp_path: Path) -> None:
    error = CliRunner().invoke(app, ["bench", "show", str(tmp_path)]).exception
    assert str(tmp_path / "summary.parquet") in str(error)
    assert "uqdm bench summarize" in str(error)


def test_no_run_at_all_names_the_command_that_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, ["bench", "show"]).exception
    assert "snakemake --cores all" in str(error)
