"""Guards `uqdm codecs`: every registered codec is listed, with the reason if it does not work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from uqdm.cli import codecs as module
from uqdm.cli.codecs import listing
from uqdm.cli.main import app
from uqdm.codec import Codec, CodecUnavailableError, Missing, codec_names


class Broken(Codec):
    name = "broken"
    version = property(lambda self: 1 / 0)  # type: ignore[assignment]

    def encode(self, images: Any) -> list[bytes]:
        return []

    def decode(self, streams: Any) -> list[Any]:
        return []


class Lacking(Broken):
    name = "lacking"

    @classmethod
    def missing(cls) -> Missing | None:
        return Missing("libtoy is not installed", "install it")


def test_json_lists_every_codec_with_its_parameters() -> None:
    done = CliRunner().invoke(app, ["codecs", "--json"])
    assert done.exit_code == 0
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert sorted(entries) == codec_names()
    jpeg = entries["jpeg"]
    assert jpeg["missing"] is None
    assert "jpeg" in jpeg["version"].lower()
    (quality,) = [parameter for parameter in jpeg["parameters"] if parameter["name"] == "quality"]
    assert (quality["type"], quality["minimum"] is None) == ("int", False)


def test_the_list_names_every_codec_with_its_parameters() -> None:
    done = CliRunner().invoke(app, ["codecs"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    names = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert names == codec_names()
    assert "jpeg  works here; 12 settings by default\n" in done.stdout
    assert "    quality: whole number, 1 to 100 = 75\n" in done.stdout
    assert "    subsampling: 4:4:4 | 4:2:2 | 4:2:0 = 4:4:4\n" in done.stdout


def test_a_codec_that_cannot_run_is_listed_with_reason_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "codec_class", lambda name: Lacking)
    assert listing("lacking").missing == "libtoy is not installed; install it"


def test_a_broken_codec_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "codec_class", lambda name: Broken)
    assert listing("broken").missing == "ZeroDivisionError: division by zero"

    def fail(name: str) -> None:
        raise CodecUnavailableError("does not import")

    monkeypatch.setattr(module, "codec_class", fail)
    assert listing("broken").missing == "does not import"


def test_the_host_file_is_printed_or_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["codecs", "host"])
    assert printed.exit_code == 0
    compile(printed.stdout, "uqdm_codec_host.py", "exec")
    assert "def serve(" in printed.stdout
    path = tmp_path / "uqdm_codec_host.py"
    for _ in range(2):  # an earlier one is replaced
        done = CliRunner().invoke(app, ["codecs", "host", "--out", str(path)])
        assert done.exit_code == 0, done.output
        assert path.read_text() == printed.stdout
    path.write_text("my own script")
    done = CliRunner().invoke(app, ["codecs", "host", "--out", str(path)])
    assert done.exit_code != 0
    assert path.read_text() == "my own script"
