"""Environments that a command enters: how words are started, and what is part of their identity."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from uqdm.environments import canonical_text, environment


def test_without_a_text_words_and_variables_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/mine")
    none = environment("")
    assert none.command(["python", "-u", "host.py"]) == ["python", "-u", "host.py"]
    assert none.variables() == dict(os.environ)
    assert (none.identity, none.name, none.folder, none.missing()) == ("", "", None, None)


def test_a_command_stands_before_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """With quotes as in a shell; nothing is expanded."""
    monkeypatch.setenv("PYTHONPATH", "/mine")
    entered = environment("env 'GREETING=two words' HOME=$HOME")
    done = subprocess.run(
        entered.command(
            [sys.executable, "-c", "import os; print(*map(os.environ.get, ('GREETING', 'HOME', 'PYTHONPATH')))"]
        ),
        env=entered.variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "two words $HOME None\n"
    assert entered.missing() is None
    entered.make()  # there is nothing to make


def test_quotes_that_do_not_match_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"^environment \"conda run 'x\": No closing quotation"):
        environment("conda run 'x")


def test_the_identity_has_the_words_and_the_contents_of_files_but_not_their_place(tmp_path: Path) -> None:
    images = [tmp_path / name / "codec.sif" for name in ("one", "other", "changed")]
    for image in images:
        image.parent.mkdir()
        image.write_bytes(b"an image" if image.parent.name != "changed" else b"an Image")
    one, other, changed = (environment(f"apptainer exec --nv {image}").identity for image in images)
    assert one == other != changed
    assert one.startswith("environment apptainer exec --nv codec.sif sha256:")
    assert environment(f"apptainer exec {images[0]}").identity != one
    assert environment(f"run --image={images[0]}").identity == environment(f"run --image={images[1]}").identity
    assert environment("docker run -i x").identity != environment("docker run -i y").identity


def test_a_file_that_changes_is_hashed_again(tmp_path: Path) -> None:
    image = tmp_path / "codec.sif"
    image.write_bytes(b"an image")
    entered = environment(f"apptainer exec {image}")
    before = entered.identity
    image.write_bytes(b"an Image")
    os.utime(image, ns=(0, 0))
    assert entered.identity != before


def test_a_long_command_has_a_short_name() -> None:
    identity = environment("docker run " + "-v /data:/data " * 40 + "IMAGE").identity
    assert len(identity) < 140
    assert "..." in identity


def test_a_program_that_is_absent_is_missing() -> None:
    missing = environment("no-such-program exec image").missing()
    assert missing is not None
    assert f"{socket.gethostname()} has no program 'no-such-program'; install it there, or name its path" in missing


def test_an_image_that_is_absent_is_missing(tmp_path: Path) -> None:
    assert "has no file 'codec.sif'; copy it there" in str(environment("env --image=codec.sif").missing())
    (tmp_path / "codec.sif").touch()
    assert environment(f"env {tmp_path}/codec.sif").missing() is None
    assert environment("env /inside/of/the/image/codec").missing() is None


def test_files_have_absolute_paths_in_the_canonical_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "codec.sif").touch()
    (tmp_path / "exec").touch()  # also a word of the command
    assert canonical_text("apptainer exec --nv codec.sif") == f"apptainer exec --nv {tmp_path}/codec.sif"
    assert canonical_text("venv/bin/python") == f"{tmp_path}/venv/bin/python"
    assert canonical_text("~/venv/bin/python") == os.path.expanduser("~/venv/bin/python")
    for text in ("conda run -n codecs", "docker run -v ./data:/data IMAGE", "conda run 'x", ""):
        assert canonical_text(text) == text
    once = canonical_text("apptainer exec codec.sif")
    assert canonical_text(once) == once
