"""Folders that take seconds to make, made once for all processes of a test run."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(request: pytest.FixtureRequest, name: str, make: Callable[[Path], object]) -> Path:
    """A copy, for this process alone, of a folder that the first process to ask for it makes; the others wait.

    ``make`` gets the path of the folder, which does not exist yet. Fixtures of the scope "session" are made once in
    each of pytest-xdist's processes, and several of these need the same run.
    """
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    own = factory.getbasetemp()
    common = own.parent if hasattr(request.config, "workerinput") else own  # pytest-xdist's processes have it
    folder = common / f"made-once-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            make(partial)
            partial.rename(folder)
    return shutil.copytree(folder, factory.mktemp(name) / "run")
