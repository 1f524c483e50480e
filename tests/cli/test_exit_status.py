"""Guards the exit statuses: the documented table is what the command line does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from documented import ROOT

PAGE = (ROOT / "docs" / "command-line.md").read_text().partition("## Exit status")[2].partition("## JSON")[0]
UQDM = [sys.executable, "-m", "uqdm"]
RUNS = {
    0: ["--version"],
    1: ["info", "absent.uqdm"],
    2: ["bench", "show", "--limit", "0"],
}
SIGNALS = {129: signal.SIGHUP, 130: signal.SIGINT, 143: signal.SIGTERM}


def test_every_documented_status_is_tested_below() -> None:
    documented = {int(status) for status in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert documented == {*RUNS, *SIGNALS}


@pytest.mark.parametrize("status", RUNS)
def test_status_of_a_command(status: int, tmp_path: Path) -> None:
    done = subprocess.run([*UQDM, *RUNS[status]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith({0: "", 1: "error: absent.uqdm", 2: "Usage: uqdm bench show"}[status])
    assert bool(done.stderr) == bool(status)


@pytest.mark.parametrize("status", SIGNALS)
def test_status_after_a_signal(status: int, tmp_path: Path) -> None:
    process = subprocess.Popen([*UQDM, "info", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    while not handles(process.pid, SIGNALS[status]):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(SIGNALS[status])
    _, stderr = process.communicate()
    assert process.returncode == status
    assert stderr.decode().splitlines()[-1].startswith("stopped by ")


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of that signal, which it sets when its command begins."""
    text = Path(f"/proc/{pid}/status").read_text()
    caught = int(re.search(r"^SigCgt:\s*(\w+)", text, re.MULTILINE)[1], 16)  # type: ignore[index]
    return all(caught >> (one - 1) & 1 for one in (number, signal.SIGTERM, signal.SIGHUP))


@pytest.mark.skipif(os.name != "posix", reason="no signals")
def test_the_page_lists_every_command_that_exits_1_by_what_it_finds() -> None:
    """Found in the sources: one that raises Exit(1), refuses a run of failures alone, or becomes another program."""
    files = (ROOT / "uqdm" / "cli").rglob("*.py")
    found = {
        " ".join(["uqdm", *file.relative_to(ROOT / "uqdm" / "cli").with_suffix("").parts])
        for file in files
        if not file.name.startswith("_")
        and re.search(r"typer\.Exit\(1\)|refuse_only_failures\(|os\.execv\(", file.read_text())
    }
    assert found == set(re.findall(r"^\| `(uqdm [a-z ]+)` \|", PAGE, re.MULTILINE))
