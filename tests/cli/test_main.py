"""Guards the frame of the command line: fast help, one-line errors, and all subcommands."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from uqdm.cli import bench
from uqdm.cli import main as root
from uqdm.cli.lazy import _load, summary_of


def uqdm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from uqdm.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("arguments", [["--help"], ["bench", "--help"], ["bench", "evaluate", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from uqdm.cli.main import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('HEAVY', sorted({'torch', 'ray', 'pandas', 'matplotlib', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert "HEAVY []" in done.stdout


@pytest.mark.parametrize("target", [*root.SUBCOMMANDS.values(), *bench.SUBCOMMANDS.values()])
def test_every_subcommand_exists_and_has_a_summary(target: str) -> None:
    assert _load("name", target).name == "name"
    assert len(summary_of(target).split()) > 3
    assert "not installed" not in summary_of(target)


def test_help_shows_defaults_in_brackets() -> None:
    """They were once interpreted as markup and lost."""
    assert "[every run in results/]" in uqdm("bench", "show", "--help").stdout


def test_an_error_is_one_line_that_names_the_input() -> None:
    done = uqdm("bench", "evaluate", "--dataset", "demo", "--codec", "jpgg", "--out", "unused")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no codec 'jpgg' (did you mean jpeg")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("how", [["--traceback"], []])
def test_the_traceback_is_shown_on_demand(how: list[str]) -> None:
    environment = {} if how else {"UQDM_TRACEBACK": "1"}
    done = uqdm(*how, "bench", "evaluate", "--dataset", "demo", "--codec", "jpgg", "--out", "unused", **environment)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "UnknownCodecError" in done.stderr


def test_a_wrong_subcommand_suggests_the_right_one() -> None:
    done = uqdm("bnch")
    assert done.returncode == 2
    assert "Did you mean 'bench'?" in done.stderr
