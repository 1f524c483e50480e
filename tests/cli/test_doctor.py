"""Guards `uqdm doctor`: green, yellow and red, and the matching exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from uqdm import codec as registry
from uqdm.bench.features.weight_files import Weights
from uqdm.cli.doctor import diagnose_machine, diagnose_perceptual_weights, diagnose_weights
from uqdm.cli.main import app
from uqdm.codec import Codec, Missing, register_codec


class Dark(Codec):
    name = "dark"
    version = "1"

    def encode(self, images: Any) -> list[bytes]:
        return [f"{image.shape[0]} {image.shape[1]}".encode() for image in images]

    def decode(self, streams: Any) -> list[Any]:
        import numpy as np

        return [np.zeros((*map(int, stream.split()), 3), np.uint8) for stream in streams]


class Absent(Dark):
    name = "absent"

    @classmethod
    def missing(cls) -> Missing | None:
        return Missing("libtoy is not installed", "apt install libtoy")


class Broken(Dark):
    name = "broken"
    version = property(lambda self: 1 / 0)  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.CODECS, "registered", dict(registry.CODECS.registered))
    for codec in (Dark, Absent, Broken):
        register_codec(codec)


def _doctor(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *arguments])
    return done.exit_code, done.stdout


def test_a_codec_that_works_is_green_with_its_library() -> None:
    status, text = _doctor("png", "jpeg:quality=95")
    assert status == 0
    assert [line.split()[:2] for line in text.splitlines()[:2]] == [["works", "png"], ["works", "jpeg"]]
    assert "libjpeg" in text
    assert text.endswith("2 works, 0 not here, 0 FAILS\n")


def test_a_missing_codec_has_a_remedy_and_is_not_a_failure() -> None:
    status, text = _doctor("absent", "png", "program")
    assert status == 0
    assert "libtoy is not installed; apt install libtoy" in text
    assert "docs/programs.md" in text
    assert text.endswith("1 works, 2 not here, 0 FAILS\n")


@pytest.mark.parametrize(("name", "reason"), [("dark", "lossy: photograph: "), ("broken", "ZeroDivisionError")])
def test_a_codec_that_fails_is_red_and_exits_1(name: str, reason: str) -> None:
    status, text = _doctor(name, "png")
    assert status == 1
    assert reason in text
    assert text.endswith("1 works, 0 not here, 1 FAILS\n")


def test_json_has_every_figure() -> None:
    status, text = _doctor("--json", "png", "dark")
    png, dark = json.loads(text)["codecs"]
    assert status == 1
    assert {check["name"]: check["detail"] for check in png["checks"]}["lossless: noise"] == "exact"
    assert next(check["name"] for check in dark["checks"] if not check["ok"]) == "lossy: gradient"


def test_an_unknown_codec_is_refused_before_any_test_runs() -> None:
    done = CliRunner().invoke(app, ["doctor", "png", "jpge"])
    assert "did you mean jpeg" in str(done.exception)
    assert done.stdout == ""


def test_missing_fid_weights_are_reported_and_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("UQDM_CACHE", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("UQDM_INCEPTION", raising=False)
    absent = diagnose_weights()
    assert (absent.codec, absent.status) == ("fid-weights", "not here")
    assert "UQDM_INCEPTION=FILE" in absent.reason
    assert not list(tmp_path.iterdir())
    given = tmp_path / "weights.pth"
    given.write_bytes(b"something else")
    monkeypatch.setenv("UQDM_INCEPTION", str(given))
    wrong = diagnose_weights()
    assert wrong.status == "FAILS"
    assert "weights.pth: sha256" in wrong.reason


def test_present_fid_weights_are_named(inception_weights: Weights) -> None:
    here = diagnose_weights()
    assert here.status == "works"
    assert here.version.startswith(f"{inception_weights.sha256[:16]} from ")


def test_perceptual_weights_are_reported_and_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = diagnose_perceptual_weights()  # tests name a folder that does not exist
    assert (wrong.codec, wrong.status) == ("perceptual-weights", "not here")
    assert "no such file" in wrong.reason
    monkeypatch.delenv("UQDM_PERCEPTUAL")
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path))
    absent = diagnose_perceptual_weights()
    assert absent.status == "not here"
    assert "UQDM_PERCEPTUAL=FOLDER" in absent.reason
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("perceptual_weights")
def test_present_perceptual_weights_are_named() -> None:
    assert diagnose_perceptual_weights().status == "works"


def test_faults_of_the_machine_are_reported_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("UQDM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    here = {found.codec: found.status for found in diagnose_machine()}
    assert {name: here[name] for name in ("ray-folder", "cache-folder", "workflow-cache")} == dict.fromkeys(
        ("ray-folder", "cache-folder", "workflow-cache"), "works"
    )
    for variable in ("UQDM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, "/proc/none")
    monkeypatch.setattr("uqdm.cli.machine_checks.SHARED_MEMORY", "/proc/none")
    monkeypatch.setattr("uqdm.bench.execute.private_folder._candidates", lambda: ["/proc/none"])
    amiss = {found.codec: found for found in diagnose_machine()}
    assert "set TMPDIR" in amiss["ray-folder"].reason
    assert amiss["ray-folder"].status == "FAILS"
    assert "set UQDM_CACHE" in amiss["cache-folder"].reason
    assert "set XDG_CACHE_HOME" in amiss["workflow-cache"].reason
    assert "--shm-size" in amiss["shared-memory"].reason
