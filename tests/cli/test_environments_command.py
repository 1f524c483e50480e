"""``uqdm environments``: made, listed and removed on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from uqdm.cli import completion
from uqdm.cli.main import app
from uqdm.environments.stamp import Stamp
from uqdm.environments.storage import VARIABLE, lock_path


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stored"))
    return tmp_path / "stored"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["environments", *map(str, arguments)])


def stored_environment(folder: Path, name: str, *, complete: bool = True) -> None:
    (folder / name).mkdir(parents=True)
    lock_path(folder / name).touch()
    if complete:
        packages = [f"package{number}==1.0" for number in range(12)]
        stamp = Stamp("/locks/codec.txt", "12" * 32, "3.9.18", packages, ["six"], "2026-01-02T03:04:05+00:00")
        stamp.write(folder / name)


@pytest.mark.slow
def test_an_environment_is_made_noted_listed_and_removed(stored: Path, wheels: Path, tmp_path: Path) -> None:
    lock, note = tmp_path / "codec.txt", tmp_path / "note.json"
    lock.write_text(f"--no-index\n--find-links {wheels}\nidna\n")
    done = run("make", lock, "--note", note)
    assert done.exit_code == 0, done.output
    (noted,) = json.loads(note.read_text())["environments"]
    folder = Path(noted["folder"])
    assert f"{folder.name}: 3 packages, Python {noted['python']}, in {folder}" in done.stdout
    assert f"note: {lock} does not fix the versions of idna; `pip freeze` there does" in done.stderr
    assert "idna==3.7" in noted["packages"]
    again = run("make", lock, lock, "--note", note)
    assert again.exit_code == 0, again.output
    assert "making" not in again.output
    assert json.loads(note.read_text())["environments"] == [noted, noted]
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["name"], listed["state"], listed["lock"]) == (folder.name, "complete", str(lock))
    assert listed["size_bytes"] > 1e6
    assert run("remove", folder.name).stdout == f"removed {folder}\n"
    assert json.loads(run("list", "--json").stdout) == []


def test_the_list_says_what_is_complete(stored: Path) -> None:
    assert run("list").stdout == f"no environments in {stored}\n"
    stored_environment(stored, "codec-1212")
    stored_environment(stored, "half-3434", complete=False)
    assert run("list").stdout.splitlines() == [
        "codec-1212  complete  0 MiB",
        "    Python 3.9.18, 12 packages, made 2026-01-02 03:04:05+00:00",
        "    from /locks/codec.txt",
        "    versions that its file does not fix: six",
        f"    {stored}/codec-1212",
        "half-3434  incomplete  0 MiB",
        f"    {stored}/half-3434",
    ]
    complete, half = json.loads(run("list", "--json").stdout)
    assert complete["python"] == "3.9.18"
    assert len(complete["packages"]) == 12
    assert half == {"name": "half-3434", "folder": f"{stored}/half-3434", "state": "incomplete", "size_bytes": 0}


def test_several_are_removed(stored: Path) -> None:
    for name in ("one", "other", "third"):
        stored_environment(stored, name)
    assert completion.environments("o") == ["one", "other"]
    assert run("remove", "one", "third").exit_code == 0
    assert completion.environments("") == ["other"]
    assert isinstance(run("remove", "one").exception, LookupError)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("notes.md", "", "notes.md: not a lock file of pip (.txt) or a file of conda (.yaml)"),
        ("codec.txt", "idna=3.7\n", "'idna=3.7': write PACKAGE==VERSION"),
        ("codec.yaml", "{}\n", "it has no list `dependencies` of packages"),
    ],
)
def test_a_file_that_is_no_lock_is_an_error(name: str, text: str, error: str, stored: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    done = run("make", tmp_path / name)
    assert error in str(done.exception)
    assert not stored.exists()


def test_a_note_replaces_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "codec.txt").write_text("idna==3.7\n")
    (tmp_path / "mine").write_text("my text")
    for note in ("mine", "codec.txt"):
        done = run("make", tmp_path / "codec.txt", "--note", tmp_path / note)
        assert done.exit_code != 0
        assert "name another file" in str(done.exception)
    assert (tmp_path / "mine").read_text() == "my text"
