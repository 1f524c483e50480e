"""Environments made from files of conda. No machine of the tests has conda: a replacement for micromamba stands in.

It does what micromamba does to the file system: a folder with programs, and a record of each package.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from uqdm.environments import EnvironmentMakeError, MadeEnvironment, environment
from uqdm.environments.storage import VARIABLE, log_path

FILE = """\
channels: [conda-forge]
dependencies:
  - conda-forge::python=3.9.18=h955ad1f_0
  - zlib=1.2.13
  - libjpeg-turbo>=2
  - pip:
      - idna==3.7
"""
REPLACEMENT = """\
import json, pathlib, sys
import yaml

command, yes, prefix, folder, file, path = sys.argv[1:]
assert (command, yes, prefix, file) == ("create", "--yes", "--prefix", "--file")
print("Transaction starting")
pathlib.Path(folder, "conda-meta").mkdir(parents=True)
pathlib.Path(folder, "bin").mkdir()
versions = {"python": "3.9.18", "zlib": "1.2.13", "libjpeg-turbo": "3.0.0", "_libgcc_mutex": "0.1"}
assert "missing" not in pathlib.Path(path).read_text(), "error    libmamba Could not solve for environment specs"
for name, version in versions.items():
    record = {"name": name, "version": version, "build": "0"}
    pathlib.Path(folder, "conda-meta", f"{name}-{version}-0.json").write_text(json.dumps(record))
pathlib.Path(folder, "bin", "python").symlink_to(sys.executable)
pathlib.Path(folder, "bin", "pip").touch()
"""


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No program of conda on the path, and a folder for environments."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stored"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "stored"


def described(folder: Path, text: str = FILE) -> MadeEnvironment:
    (folder / "codec.yaml").write_text(text)
    found = environment(str(folder / "codec.yaml"))
    assert isinstance(found, MadeEnvironment)
    return found


def install_replacement(folder: Path) -> None:
    (folder / "replacement.py").write_text(REPLACEMENT)
    program = folder / "bin" / "micromamba"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/replacement.py "$@"\n')
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("python=3.9", ", Python 3.9"),
        ("python==3.10.13", ", Python 3.10"),
        ("conda-forge::python=3.11.7=h12_0", ", Python 3.11"),
        ("python = 3.12", ", Python 3.12"),
        ("python", ""),
        ("python>=3.9", ""),
        ("python-dateutil=2.9", ""),
    ],
)
def test_the_identity_has_the_hash_and_the_python_that_the_file_names(line: str, python: str, tmp_path: Path) -> None:
    codec = described(tmp_path, yaml.safe_dump({"dependencies": [line]}))
    assert codec.identity == f"environment codec.yaml sha256:{codec.sha256[:12]}{python}"
    assert codec.folder.name == f"codec-{codec.sha256[:12]}"


@pytest.mark.parametrize("text", ["", "name: x\n", "dependencies: x\n", "dependencies: [1]\n", "- a\n", "a: [\n"])
def test_a_file_of_another_structure_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=rf"^environment {tmp_path}/codec.yaml: (not YAML: |it has no list `dependenc)"
    ):
        described(tmp_path, text)


def test_other_local_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'-r requirements.txt': write the packages themselves"):
        described(tmp_path, "dependencies:\n  - pip\n  - pip: [-r requirements.txt]\n")


def test_without_conda_making_it_is_an_error_with_the_remedy(stored: Path, tmp_path: Path) -> None:
    codec = described(tmp_path)
    assert f"is not made on {socket.gethostname()}" in str(codec.missing())
    expected = rf"^environment codec.yaml: {socket.gethostname()} has no conda, mamba, micromamba on PATH; install one"
    with pytest.raises(EnvironmentMakeError, match=expected):
        codec.make()
    assert not stored.exists()


@pytest.mark.slow
def test_it_is_made_and_its_packages_are_listed(stored: Path, tmp_path: Path) -> None:
    install_replacement(tmp_path)
    codec = described(tmp_path)
    said: list[str] = []
    codec.make(said.append)
    assert said[-1] == f"{codec.folder.name}: micromamba solves and installs"
    assert "Transaction starting" in log_path(codec.folder).read_text()
    stamp = codec.stamp()
    assert stamp is not None
    assert stamp.python == "3.9.18"
    assert {"zlib==1.2.13", "libjpeg-turbo==3.0.0"} <= set(stamp.packages)
    assert any(line.startswith("numpy==") for line in stamp.packages), "packages of pip: those of the linked Python"
    assert {"libjpeg-turbo", "numpy"} <= set(stamp.unlocked)
    assert not {"python", "zlib", "idna", "pip"} & set(stamp.unlocked)
    assert codec.missing() is None
    assert sorted(path.name for path in stored.iterdir()) == sorted(
        [f".{codec.folder.name}.making", codec.folder.name, f"{codec.folder.name}.log"]
    )


@pytest.mark.slow
def test_commands_run_with_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_replacement(tmp_path)
    monkeypatch.setenv("VIRTUAL_ENV", "/of/the/caller")
    codec = described(tmp_path)
    codec.make()
    code = "import os; print(*map(os.environ.get, ('CONDA_PREFIX', 'CONDA_DEFAULT_ENV', 'VIRTUAL_ENV', 'PATH')))"
    command = codec.command(["python", "-c", code])
    assert command[0] == str(codec.folder / "bin" / "python")
    done = subprocess.run(command, env=codec.variables(), capture_output=True, text=True, check=True)
    folder = str(codec.folder)
    assert done.stdout.split() == [folder, folder, "None", f"{folder}/bin{os.pathsep}{tmp_path}/bin"]


@pytest.mark.slow
def test_a_failure_leaves_the_log_and_nothing_else(stored: Path, tmp_path: Path) -> None:
    install_replacement(tmp_path)
    codec = described(tmp_path, "dependencies: [missing-package]\n")
    with pytest.raises(
        EnvironmentMakeError, match=r"micromamba failed with status 1: .*Could not solve for environment s"
    ):
        codec.make()
    assert not codec.folder.exists()
    assert sorted(path.name for path in stored.iterdir()) == [
        f".{codec.folder.name}.making",
        f"{codec.folder.name}.log",
    ]
