"""Guards shell completion: of commands and options, and of names, without heavy imports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import measure_run
from typer.testing import CliRunner

from uqdm.bench.datasets import dataset_kinds, open_dataset
from uqdm.bench.metrics import declared
from uqdm.bench.plots import all_plots
from uqdm.cli import completion
from uqdm.cli.main import app
from uqdm.codec import codec_names
from uqdm.model.zoo import shipped_names

UQDM = Path(sys.executable).with_name("uqdm")


def completed(line: str, folder: Path) -> list[str]:
    """What the shell offers for the last word of a line."""
    words = line.split(" ")
    environment = {"_UQDM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [UQDM], capture_output=True, text=True, env={**os.environ, **environment}, cwd=folder, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("uqdm be", ["bench"]),
        ("uqdm bench eva", ["evaluate"]),
        ("uqdm bench run --cod", ["--codec", "--codecs-file"]),
        ("uqdm bench run --codec jpeg2000-", ["jpeg2000-progressive", "jpeg2000-tuned"]),
        ("uqdm bench run ko", ["kodak"]),
        ("uqdm doctor we", ["webp"]),
        ("uqdm encode a.png b.uqdm --model uqdm-p", ["uqdm-pixel"]),
        ("uqdm encode a.png b.uqdm --seeds-for l", ["lossless"]),
        ("uqdm models get uqdm-t", ["uqdm-tiny"]),
        ("uqdm bench run demo --metric ps", ["psnr_db"]),
        ("uqdm bench compare a b --codec-a jx", ["jxl"]),
        ("uqdm bench published --family autoe", ["autoencoder"]),
    ],
)
def test_commands_options_and_names_are_completed(line: str, expected: list[str], tmp_path: Path) -> None:
    assert completed(line, tmp_path) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_script_that_is_installed_completes_in_bash(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        "PATH": f"{UQDM.parent}:{os.environ['PATH']}",
    }
    subprocess.run([UQDM, "--install-completion", "bash"], env=environment, check=True, capture_output=True)
    line = (
        'source "$HOME/.bashrc"; COMP_WORDS=(uqdm bench sh); COMP_CWORD=2; '
        '$(complete -p uqdm | sed "s/.*-F \\([^ ]*\\).*/\\1/") uqdm; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", line], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "show\n"


def test_folders_of_runs_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("results/demo", "elsewhere/demo2"):
        measure_run(tmp_path / name, open_dataset("demo", limit=1), "png")
    (tmp_path / "results" / "features").mkdir()
    assert completion.runs("") == ["results/demo"]
    assert completion.runs("results/") == ["results/demo"]
    assert completion.runs("else") == []
    assert completion.runs("elsewhere/") == ["elsewhere/demo2"]
    assert completion.runs("absent/") == []
    assert completed("uqdm bench report --run res", tmp_path) == ["results/demo"]


def test_the_names_are_those_of_the_registries() -> None:
    assert completion.codecs("") == codec_names()
    assert completion.data_sets("") == dataset_kinds()
    assert completion.metrics("") == [metric.name for metric in declared()]
    assert completion.plots("") == [plot.name for plot in all_plots()]
    assert completion.models("") == sorted(shipped_names())


def test_names_are_completed_without_heavy_imports() -> None:
    code = (
        "import sys; from uqdm.cli import completion as c\n"
        "for f in (c.codecs, c.data_sets, c.metrics, c.plots, c.models, c.runs): f('')\n"
        "print(sorted({'torch', 'ray', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_can_be_shown(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = CliRunner().invoke(app, ["--show-completion", shell], prog_name="uqdm")
    assert done.exit_code == 0
    assert "_UQDM_COMPLETE" in done.stdout
