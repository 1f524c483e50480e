"""Stored environments: their states and sizes, and how they are removed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from uqdm.environments.contract import EnvironmentMakeError
from uqdm.environments.inventory import remove, stored_environments, stored_names
from uqdm.environments.stamp import STAMP, Stamp, read_stamp
from uqdm.environments.storage import lock_path, log_path

STAMP_OF_TESTS = Stamp("/locks/a.txt", "12" * 32, "3.11.7", ["idna==3.7"], [], "2026-01-01T00:00:00+00:00")


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an environment that is complete, one that is not, and a folder of something else."""
    monkeypatch.setenv("UQDM_ENVIRONMENTS", str(tmp_path))
    for name in ("complete", "half", "photos", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x" * 1000)
    os.link(tmp_path / "half" / "file", tmp_path / "half" / "same-file")
    for name in ("complete", "half", "gone"):
        lock_path(tmp_path / name).touch()
        log_path(tmp_path / name).touch()
    STAMP_OF_TESTS.write(tmp_path / "complete")
    return tmp_path


def test_states_and_sizes_are_listed_and_other_folders_are_not(stored: Path) -> None:
    complete, half = stored_environments()
    assert (complete.name, complete.state, complete.stamp) == ("complete", "complete", STAMP_OF_TESTS)
    assert (half.name, half.state, half.stamp, half.size_bytes) == ("half", "incomplete", None, 1000)
    assert complete.size_bytes == 1000 + (stored / "complete" / STAMP).stat().st_size


def test_no_folder_has_no_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UQDM_ENVIRONMENTS", str(tmp_path / "absent"))
    assert stored_environments() == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"lock": 1', "\0"])
def test_a_malformed_stamp_is_none(text: str, stored: Path) -> None:
    (stored / "complete" / STAMP).write_text(text)
    assert read_stamp(stored / "complete") is None
    assert [one.state for one in stored_environments()] == ["incomplete", "incomplete"]


def test_an_environment_is_removed_with_its_log(stored: Path) -> None:
    for name in ("complete", "half"):
        assert remove(name) == stored / name
        assert not (stored / name).exists()
        assert not log_path(stored / name).exists()
    assert stored_names() == []
    assert (stored / "photos" / "file").exists()


@pytest.mark.parametrize("name", ["photos", ".hidden", "gone", "..", "", "complete/../photos", "half/"])
def test_other_folders_are_not_removed(name: str, stored: Path) -> None:
    if name == "half/":  # as a shell completes it
        assert remove(name) == stored / "half"
        return
    with pytest.raises(LookupError, match=r"there are: complete, half$"):
        remove(name)
    assert (stored / "photos" / "file").exists()


def test_an_environment_that_a_process_makes_is_not_removed(stored: Path) -> None:
    with lock_path(stored / "half").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [one.state for one in stored_environments()] == ["complete", "being made"]
        with pytest.raises(
            EnvironmentMakeError, match=r"^environment half: a process makes it now; end that one first$"
        ):
            remove("half")
    assert (stored / "half" / "file").exists()
    remove("half")
