"""Guards `uqdm run` and `uqdm init`: the command line of Snakemake, mistakes, and files that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from uqdm.cli.main import app
from uqdm.cli.run import cache_variables, snakemake_command, split


@pytest.mark.parametrize(
    "given",
    [["--cores", "2"], ["-c2"], ["-j", "1"], ["--profile", "slurm"], ["--workflow-profile", "slurm"], ["--cores=1"]],
)
def test_cores_are_those_of_the_options(given: list[str]) -> None:
    assert "all" not in snakemake_command(Path(), None, given)


def test_targets_stand_before_options_that_take_several_values() -> None:
    """--configfile takes several files, and would take a target for one."""
    command = snakemake_command(Path("/site"), Path("mine.yaml"), ["contest", "--config", "limit=8"])
    assert command[-5:] == ["contest", "--configfile", "mine.yaml", "--config", "limit=8"]


def test_what_stands_before_the_dashes_is_a_configuration(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.touch()
    argv = ["uqdm", "run", str(own), "--", "-n"]
    assert split([str(own), "-n"], argv) == (own, ["-n"])
    for wrong in (["contest"], [str(own), "contest"]):
        with pytest.raises(typer.BadParameter, match="contest: not a configuration file"):
            split(wrong, ["uqdm", "run", *wrong])
    with pytest.raises(FileNotFoundError, match="uqdm init writes one"):
        split(["absent.yaml"], ["uqdm", "run", "absent.yaml"])


def test_the_cache_lies_elsewhere_where_the_home_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_variables() == {}
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert Path(cache_variables()["XDG_CACHE_HOME"]).is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", "/mine")
    assert cache_variables() == {}


def test_init_keeps_files_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    first = CliRunner().invoke(app, ["init", str(folder)])
    assert first.exit_code == 0, first.output
    assert "files written" in first.stdout
    own = folder / "config" / "config.yaml"
    own.write_text("limit: 3\n")
    second = CliRunner().invoke(app, ["init", str(folder), "--recipes", "--profiles"])
    assert f"kept {own}" in second.stderr
    assert own.read_text() == "limit: 3\n"
    assert (folder / "recipes" / "README.md").is_file()
    assert (folder / "workflow" / "profiles" / "slurm" / "config.yaml").is_file()
    assert "every file is there already" in CliRunner().invoke(app, ["init", str(folder)]).stdout
