"""Terminals that cannot show every character, and broken pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

UQDM = Path(sys.executable).with_name("uqdm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name this terminal cannot show."""
    folder = tmp_path_factory.mktemp("images") / "≤ é"
    folder.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "ü☃.png")
    return folder


def run(*arguments: str, encoding: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    return subprocess.run([UQDM, *arguments], capture_output=True, cwd=folder, env=environment, check=False)


def test_an_error_has_escapes_for_characters_that_cannot_be_shown(folder: Path) -> None:
    arguments = ["--dataset=folder:☃ é", "--codec=png", "--out=x"]
    refused = run("bench", "evaluate", *arguments, encoding="latin-1", folder=folder)
    assert refused.returncode == 1
    assert "error: folder:\\u2603 é: no such folder" in refused.stderr.decode("latin-1")


def test_a_run_name_that_cannot_be_encoded_is_refused_before_any_work(folder: Path) -> None:
    arguments = ["--dataset=folder:.", "--codec=png", "--out=rün"]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **ascii_only}
    refused = subprocess.run(
        [UQDM, "bench", "evaluate", *arguments],
        capture_output=True,
        cwd=folder.parent,
        env=environment,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.count(b"\n") == 1
    assert b"error: --out=r\\udcc3\\udcbcn: not text in" in refused.stderr
    assert b"PYTHONUTF8=1" in refused.stderr
    assert not list(folder.parent.glob("r*n"))


TABLES = """
from uqdm.cli.bench._table import print_table
from uqdm.cli.codecs import Listing, _print
from uqdm.cli.terminal import show_any_text
show_any_text()
print_table("≤", ["a", "b"], [["☃", "1"], ["x", "2"]])
_print([Listing("toy", version="≤")])
"""


def test_tables_have_ascii_boxes_and_aligned_columns() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    printed = subprocess.check_output([sys.executable, "-c", TABLES], env=environment, text=True)
    lines = printed.splitlines()
    assert lines[0].strip() == r"\u2264"
    assert lines[1].index("|") == lines[3].index("|") == lines[4].index("|")
    assert lines[2].index("+") == lines[1].index("|")
    assert printed.count(r"\u2264") == 2


def test_a_broken_pipe_ends_a_command_silently(folder: Path) -> None:
    process = subprocess.Popen([UQDM, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait()
