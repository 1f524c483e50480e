"""Guards that commands can read a run without write permission, and can write elsewhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import small_run
from typer.testing import CliRunner

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.cli.main import app
from uqdm.output import OutputError

pytestmark = pytest.mark.slow

NOBODY = 65534


@pytest.fixture(scope="module")
def run() -> Iterator[Path]:
    """A finished run, and all code that its commands need loaded, in a folder that every user can reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    codecs = [f"jpeg:quality={quality}" for quality in (10, 50, 90)]
    codecs += [f"webp:quality={quality}" for quality in (10, 50, 90)]
    run = small_run.measure_run(folder / "run", open_dataset("demo", 3), *codecs)
    summarize_run(run)
    for command in commands(run, folder):
        assert CliRunner().invoke(app, command).exit_code == 0
    for path in (run / "bd.csv", folder / "written"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    yield run
    shutil.rmtree(folder)


def commands(run: Path, folder: Path) -> list[list[str]]:
    """Commands that read, and commands that write elsewhere."""
    there, elsewhere = ["--run", str(run)], str(folder / "written")
    reading = [["show", str(run)], ["show", str(run), "--rows"], ["compare", str(run), str(run)], ["status", str(run)]]
    reading += [["bd", *there]]
    writing = [
        ["bd", *there, "--out", f"{elsewhere}/bd.csv"],
        ["plot", *there, "--out", f"{elsewhere}/plots"],
        ["report", *there, "--plots", f"{elsewhere}/plots", "--out", f"{elsewhere}/report.html"],
        ["extract", str(run), "--image", "0", "--out", f"{elsewhere}/files"],
    ]
    return [["bench", *command] for command in (*reading, *writing)]


@contextmanager
def unable_to_write(folder: Path, writable: Path) -> Iterator[None]:
    """Makes ``folder`` read-only, and drops the privileges of this process to ignore that."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    writable.mkdir(exist_ok=True)
    writable.chmod(0o777)
    privileged = os.geteuid() == 0
    try:
        if privileged:
            os.seteuid(NOBODY)
        yield
    finally:
        if privileged:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_read_only_run_can_be_read(run: Path) -> None:
    folder = run.parent
    before = sorted(run.rglob("*"))
    with unable_to_write(run, folder / "written"):
        results = [CliRunner().invoke(app, command) for command in commands(run, folder)]
    for command, done in zip(commands(run, folder), results, strict=True):
        assert done.exit_code == 0, (command, done.output, done.exception)
        assert done.stdout
    assert sorted(run.rglob("*")) == before
    bd = next(done for command, done in zip(commands(run, folder), results, strict=True) if command[1] == "bd")
    assert "webp" in bd.stdout
    assert f"note: {run / 'bd.csv'} was not written: Permission denied" in bd.stderr.replace("\n", "")
    for name in ("bd.csv", "plots/rate_distortion.svg", "report.html", "files/image0__original.png"):
        assert (folder / "written" / name).is_file()


def test_a_requested_file_that_cannot_be_written_is_an_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["bench", "bd", "--run", str(run), "--out", str(tmp_path / "file" / "bd.csv")])
    assert isinstance(done.exception, OutputError)
