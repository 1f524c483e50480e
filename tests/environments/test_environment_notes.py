"""Notes of environments for the workflow: what they say, and when a file says that they do not hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from uqdm.environments import EnvironmentMakeError, MadeEnvironment, environment
from uqdm.environments.note import entry, holds, refresh_state, write_note
from uqdm.environments.stamp import Stamp
from uqdm.environments.storage import VARIABLE


@pytest.fixture
def codec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeEnvironment:
    """An environment whose stamp says that it is made, without a Python."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stored"))
    (tmp_path / "codec.txt").write_text("idna==3.7\n")
    found = environment(str(tmp_path / "codec.txt"))
    assert isinstance(found, MadeEnvironment)
    stamp(found, "2026-01-01T00:00:00+00:00").write(found.folder)
    return found


def stamp(codec: MadeEnvironment, made: str) -> Stamp:
    return Stamp(str(codec.file), codec.sha256, "", ["idna==3.7"], [], made)


def test_a_note_depends_on_the_software_alone(codec: MadeEnvironment, tmp_path: Path) -> None:
    write_note(tmp_path / "one.json", [entry(codec)])
    stamp(codec, "2027-01-01T00:00:00+00:00").write(codec.folder)
    write_note(tmp_path / "other.json", [entry(codec)])
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()
    assert entry(codec)["packages"] == ["idna==3.7"]
    assert entry(codec)["identity"] == codec.identity


def test_what_is_not_made_has_no_entry(codec: MadeEnvironment) -> None:
    shutil.rmtree(codec.folder)
    with pytest.raises(EnvironmentMakeError, match="is not made on"):
        entry(codec)


def test_a_note_holds_as_long_as_its_environments_are_there(codec: MadeEnvironment, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    assert not holds(note)
    write_note(note, [entry(codec)])
    assert holds(note)
    shutil.rmtree(codec.folder)
    assert not holds(note)
    note.write_text('{"environments": [')
    assert not holds(note)


def test_a_state_is_written_anew_only_where_a_note_does_not_hold(codec: MadeEnvironment, tmp_path: Path) -> None:
    note, state = tmp_path / "note.json", tmp_path / "states" / "codec"
    refresh_state(note, state)
    first = state.read_text()
    refresh_state(note, state)  # nothing is made yet
    write_note(note, [entry(codec)])
    refresh_state(note, state)
    assert state.read_text() == first
    shutil.rmtree(codec.folder)
    refresh_state(note, state)
    assert state.read_text() != first
    assert state.stat().st_mtime_ns >= note.stat().st_mtime_ns
