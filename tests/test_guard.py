"""Tests without a mark cannot start Ray, Snakemake or a browser, neither by themselves nor in a child process."""

import subprocess
import sys

import pytest

COMMANDS = [
    ("cluster", ["/somewhere/raylet", "--port=0"]),
    ("cluster", ["gcs_server"]),
    ("workflow", ["/somewhere/bin/snakemake", "--cores", "1"]),
    ("workflow", [sys.executable, "-m", "snakemake"]),
    ("browser", ["/somewhere/playwright/driver/node", "cli.js"]),
]


@pytest.mark.parametrize(("mark", "command"), COMMANDS)
def test_a_process_that_needs_a_mark_does_not_start_without_it(mark: str, command: list[str]) -> None:
    with pytest.raises(RuntimeError, match=f"mark it with @pytest.mark.{mark}"):
        subprocess.run(command, check=True)


def test_a_child_process_cannot_start_one_either() -> None:
    code = "import subprocess; subprocess.run(['raylet'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "mark it with @pytest.mark.cluster" in done.stderr


@pytest.mark.cluster
def test_the_mark_allows_it() -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.run(["/nowhere/raylet"], check=True)
