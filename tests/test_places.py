"""Guards the folders of caches: without a home, with a read-only home, and with a folder of another user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uqdm.places import cache_folder, private_temporary_folder, writable_cache_folder

STRANGER = ("setpriv", "--reuid=4242", "--regid=4242", "--clear-groups")
READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_without_a_home_the_cache_is_a_private_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UQDM_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    folder = cache_folder()
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder() == folder


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")  # as pathlib does for a user without an entry


def test_a_folder_writable_by_others_is_not_private(temporary: Path) -> None:
    private_temporary_folder().chmod(0o777)
    with pytest.raises(OSError, match="not a private folder of this user; remove it"):
        private_temporary_folder()


def test_a_cache_that_cannot_be_written_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UQDM_CACHE", "/proc/none")
    with pytest.raises(OSError, match=r"/proc/none/models: cannot be written .*; set UQDM_CACHE to a folder that can"):
        writable_cache_folder("models")


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
def test_a_user_without_a_name_or_a_home_compiles_into_a_private_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    code = "from uqdm.compiled import config, _HAS_PLACE; print(_HAS_PLACE, config.CACHE_DIR)"
    mine = {name: value for name, value in os.environ.items() if name not in ("HOME", "NUMBA_CACHE_DIR", "UQDM_CACHE")}
    done = subprocess.run(
        [*STRANGER, *READS_ALL, sys.executable, "-c", code],
        env={**mine, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "setpriv" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.stdout.split() == ["True", str(tmp_path / "uqdm-of-4242" / "numba")], done.stderr
