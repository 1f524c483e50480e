"""Clones of other people's code are identified by their commit."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def repository(path_of_hosts: None) -> ModuleType:
    return importlib.import_module("recipe_tools.repository")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text("x = 1\n")
    author = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    for words in (["init", "-q"], ["add", "code.py"], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_the_version_is_the_commit_and_says_whether_files_were_changed(
    repository: ModuleType, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    done = subprocess.run(["git", "-C", str(clone), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert repository.use_repository(clone, "code.py") == done.stdout[:12]
    assert sys.path[0] == str(clone.resolve())
    (clone / "other.py").touch()
    assert repository.commit_of(clone) == done.stdout[:12]
    (clone / "code.py").write_text("x = 2\n")
    assert repository.commit_of(clone) == f"{done.stdout[:12]}-changed"


def test_a_folder_that_is_no_clone_is_named(repository: ModuleType, clone: Path) -> None:
    with pytest.raises(SystemExit, match=r"is no clone of that repository: it has no src/model\.py"):
        repository.use_repository(clone, "src/model.py")


def test_without_git_the_commit_is_unknown(repository: ModuleType, tmp_path: Path) -> None:
    assert repository.commit_of(tmp_path / "absent") == "unknown"
