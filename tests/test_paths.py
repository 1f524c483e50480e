"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uqdm.bench.datasets import dataset_files
from uqdm.paths import absolute_path, check_run_names, expand_path, split_path


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--out: the path is empty"):
        expand_path(text, "--out")


def test_home_folders_are_expanded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "~"))
    monkeypatch.chdir(tmp_path)
    assert expand_path("~/run") == tmp_path / "~" / "run"
    assert absolute_path(absolute_path("~/run")) == tmp_path / "~" / "run"
    assert expand_path("./~/run") == tmp_path / "~" / "run"  # absolute, so that no library expands it
    assert expand_path("a/~") == Path("a/~")
    with pytest.raises(ValueError, match=r"write \./~nobody-here for a folder"):
        expand_path("~nobody-here/run")


def test_paths_that_look_like_addresses_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert expand_path("s3:bucket/run") == tmp_path / "s3:bucket/run"


def test_two_spellings_of_a_path_become_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/inner")
    spellings = ["real", "./real/", f"{tmp_path}//real", "link/.."]
    assert {absolute_path(text) for text in spellings} == {tmp_path / "real"}


@pytest.mark.parametrize("name", ["a", "a#b", "#", "a#b#c", "x#removed=y"])
@pytest.mark.parametrize("rest", ["", "key", "removed=odd#name,all"])
def test_a_number_sign_belongs_to_an_existing_path(
    name: str, rest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert split_path(f"{name}#{rest}" if rest else name) == (name, rest)


@pytest.mark.parametrize("name", ["set#1", "img{a}", "~", "a b'\"*[,:", "new\nline", "-x", "é"])
def test_any_folder_name_is_accepted_unchanged(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert dataset_files(f"folder:./{name}") == [tmp_path / name]


def test_names_of_runs_are_checked() -> None:
    for name in ("a b", "a/b", "..", ".a", "-a", "", "a\n", "paper_x", "channel_cost", "environments", 12):
        with pytest.raises(ValueError, match=r"^runs: "):
            check_run_names([name])
    check_run_names(["a", "A.b_c-1"])


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        expand_path(f"a{os.sep}\0b")
