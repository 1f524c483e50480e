"""Which environment a text names: a lock file, a file of conda, or a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from uqdm.environments import MadeEnvironment, canonical_text, environment
from uqdm.environments.conda import CondaEnvironment
from uqdm.environments.prefix import Prefix
from uqdm.environments.venv import RUNNING, VenvEnvironment


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UQDM_ENVIRONMENTS", str(tmp_path / "stored"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stored"


def made(text: str) -> MadeEnvironment:
    found = environment(text)
    assert isinstance(found, MadeEnvironment)
    return found


def test_the_suffix_decides() -> None:
    Path("lock.txt").write_text("idna==3.7\n")
    Path("codec.yaml").write_text("dependencies: [python=3.9]\n")
    Path("codec.yml").write_text("dependencies: [python=3.9]\n")
    assert isinstance(environment("lock.txt"), VenvEnvironment)
    assert isinstance(environment("codec.yaml"), CondaEnvironment)
    assert isinstance(environment("./codec.yml"), CondaEnvironment)
    for text in ("docker run --env-file lock.txt", "env -f codec.yaml", "conda run -n codec.yaml x"):
        assert isinstance(environment(text), Prefix)


def test_a_path_may_have_blanks_if_it_exists() -> None:
    Path("my lock.txt").write_text("idna==3.7\n")
    assert made("my lock.txt").file == Path.cwd() / "my lock.txt"
    assert made("my lock.txt").folder.name.startswith("my-lock-")
    assert canonical_text("my lock.txt") == str(Path.cwd() / "my lock.txt")


def test_a_file_that_is_absent_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^environment {tmp_path}/lokc.txt: No such file or directory; name an exis"):
        environment("lokc.txt")


def test_a_changed_lock_is_another_folder(stored: Path) -> None:
    Path("codec.txt").write_text("# python: 3.9\nidna==3.7\n")
    one = made("codec.txt")
    Path("codec.txt").write_text("# python: 3.9\nidna==3.6\n")
    other = made("codec.txt")
    assert one.folder.parent == other.folder.parent == stored
    assert one.folder.name == f"codec-{one.sha256[:12]}"
    assert one.folder != other.folder
    assert one.identity == f"environment codec.txt sha256:{one.sha256[:12]}, Python 3.9"
    assert one.identity != other.identity


def test_a_lock_without_a_python_has_the_running_one_in_its_folder() -> None:
    Path("codec.txt").write_text("idna==3.7\n")
    found = made("codec.txt")
    assert found.folder.name == f"codec-{found.sha256[:12]}-py{RUNNING}"
    assert found.identity.endswith(f", Python {RUNNING}")


def test_environments_lie_in_the_cache_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UQDM_ENVIRONMENTS")
    monkeypatch.setenv("UQDM_CACHE", "cache")
    Path("codec.txt").write_text("idna==3.7\n")
    assert made("codec.txt").folder.parent == tmp_path / "cache" / "environments"


def test_the_canonical_text_of_a_file_is_its_absolute_path(tmp_path: Path) -> None:
    assert canonical_text("recipes/lock.txt") == f"{tmp_path}/recipes/lock.txt"
    assert canonical_text(f"{tmp_path}/recipes/../lock.txt") == f"{tmp_path}/lock.txt"
